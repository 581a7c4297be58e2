"""Ctrl-C, noted at once and acted on when the program is ready."""

import signal
import threading
from typing import Any


class Interrupt:
    """Within `with Interrupt() as interrupt:`, Ctrl-C only sets `interrupt.asked`.

    The block checks it where it can stop without loss. A second Ctrl-C stops at once.
    Outside the main thread, the only one that gets signals, nothing changes.
    """

    asked = False

    def __enter__(self) -> "Interrupt":
        self._before: Any = None
        ignored = signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None)
        if threading.current_thread() is threading.main_thread() and not ignored:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, *_: object) -> None:
        self.asked = True
        self._restore()

    def _restore(self):
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
