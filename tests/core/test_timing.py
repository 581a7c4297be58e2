"""The clock that d2l's chapters use."""

import time

from d2lext.core.timing import Timer


def test_timer(monkeypatch):
    seconds = iter([1, 3, 10, 14])
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds))
    timer = Timer()
    assert timer.stop() == 2
    timer.start()
    timer.stop()
    assert (timer.times, timer.sum(), timer.avg()) == ([2, 4], 6, 3)
    assert timer.cumsum() == [2, 6]
