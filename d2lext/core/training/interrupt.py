"""Ctrl-C at a moment of the program's choice."""

import signal
import threading


class Interrupt:
    """Within `with Interrupt() as interrupt:`, Ctrl-C only sets `interrupt.asked`.

    The block looks at it where it can stop without loss. A second Ctrl-C does not wait.
    In other threads than the main one, which get no signals, nothing changes.
    """

    asked = False

    def __enter__(self):
        self._before = None
        ignored = signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None)
        if threading.current_thread() is threading.main_thread() and not ignored:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_):
        self._restore()

    def _note(self, *_):
        self.asked = True
        self._restore()

    def _restore(self):
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
