"""The progress bar of training: batches, rate and time left."""

import sys

from tqdm import tqdm


def bar(total: int, done: int = 0) -> tqdm:
    """A bar over `total` batches (0: unknown), of which `done` are finished.

    It is shown in a terminal and in a notebook unless TQDM_DISABLE is set, as it is while
    a notebook is recorded.
    """
    silent: dict[str, bool] = {} if _is_watched() else {"disable": True}
    return tqdm(
        total=total or None,
        initial=done,  # the rate is that of the remaining ones
        unit="batch",
        ncols=79,
        leave=False,
        **silent,
    )


def _is_watched() -> bool:
    if sys.stderr is None:
        return False
    # Without IPython loaded, this is not a notebook.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return sys.stderr.isatty() or getattr(shell, "kernel", None) is not None
