"""Keeps what the cells of an answer show, for its author to see and nbgrader to check.

In the notebooks for students, a cell before each answer calls `begin`, and a cell after
it `show` and, where it is graded, `check`. IPython tells us when cells run, so an answer
is ordinary code in any number of cells. Figures and warnings do not count.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from d2lext.core import values

# Of Matplotlib's objects: a cell shows one if its last line is the call that made it.
_FIGURE = re.compile(
    r"^\W*Text\(|<(?:matplotlib\.|Axes|Figure|\w+Container|a list of)|^<IPython\."
)
_DRAWN = re.compile(r"^image/|widget")  # of the types of an output
_LISTED = 20  # of the values shown


def begin(answer: str) -> None:
    """Count what cells show from now on as this `answer`, until another begins."""
    _recorder.begin(answer)


def show(answer: str) -> None:
    """Print the values that the cells of `answer` have shown, as they are compared."""
    shown = " ".join(values.plain(_recorder.shown(answer)))
    found = values.values(shown) or shown.split()
    if found:
        print("Values above, of which the last count:", *found[-_LISTED:])
    elif not _recorder.has_begun(answer):
        print(
            f'Nothing to check: run the cell `grading.begin("{answer}")`, then those of '
            "the answer below it. If it is gone, add a cell above the answer:\n"
            f'from d2lext.core import grading; grading.begin("{answer}")'
        )
    else:
        print(
            "Nothing to check: run the cells of the answer, and show values with `print` "
            "or as the last line of a cell."
        )


def check(answer: str, expected: str, tolerance: str = "") -> None:
    """Raise AssertionError unless `answer` ends with the values of `expected`."""
    shown = _recorder.shown(answer)
    if not values.agree(shown, expected, tolerance):
        raise AssertionError(
            f"expected the values of\n{expected}\nbut shown is\n{shown}"
        )


class _Recorder:
    """What each answer has shown as text; IPython calls its methods around each cell."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = defaultdict(list)
        self._answer = ""  # the one that began last
        self._shell: Any = None
        self._restore: Callable[[], None] = lambda: None

    def begin(self, answer: str) -> None:
        self._answer = answer
        self._texts[answer].clear()
        if self._shell is None:
            from IPython import get_ipython

            self._shell = get_ipython()
            self._shell.events.register("pre_run_cell", self._start)
            self._shell.events.register("post_run_cell", self._stop)
            self._shell.display_pub.register_hook(self._display)

    def has_begun(self, answer: str) -> bool:
        """Whether the cell that begins `answer` has run."""
        return answer in self._texts

    def shown(self, answer: str) -> str:
        """What `answer` has shown, without the cell that asks."""
        self._restore()
        return "".join(self._texts.get(answer, ()))

    def _start(self, info: object) -> None:
        self._restore()
        # In the stream itself, which code may hold already; mypy wants no method replaced.
        stream, write = sys.stdout, sys.stdout.write

        def keep(text: str) -> int:
            self._texts[self._answer].append(text)
            return write(text)

        def restore() -> None:
            stream.write = write  # type: ignore[method-assign]
            self._restore = lambda: None

        stream.write = keep  # type: ignore[method-assign]
        self._restore = restore

    def _stop(self, result: Any) -> None:
        self._restore()
        if result.result is not None:
            texts = self._shell.history_manager.output_hist_reprs
            self._keep({"text/plain": texts.get(result.execution_count, "")})

    def _display(self, message: dict[str, Any]) -> dict[str, Any]:
        self._keep(message["content"].get("data", {}))
        return message

    def _keep(self, data: dict[str, Any]) -> None:
        text = data.get("text/plain", "")
        if not (_FIGURE.search(text) or any(map(_DRAWN.search, data))):
            self._texts[self._answer].append(f"\n{text}\n")


_recorder = _Recorder()
