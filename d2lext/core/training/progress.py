"""How far a training is, while somebody watches: rate and time left."""

import sys

from tqdm import tqdm


def bar(total, done=0):
    """A bar over `total` batches (0: unknown), of which so many are `done`.

    In a terminal and in a notebook it is shown unless TQDM_DISABLE is set, which a
    recording does. Without a watcher it shows nothing.
    """
    silent = {} if _is_watched() else {"disable": True}
    return tqdm(
        total=total or None,
        initial=done,  # the rate is that of the others
        unit="batch",
        ncols=79,
        leave=False,
        **silent,
    )


def _is_watched():
    if sys.stderr is None:
        return False
    # A module that is not loaded has started no notebook.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return sys.stderr.isatty() or getattr(shell, "kernel", None) is not None
