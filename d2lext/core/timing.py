"""A stopwatch that keeps every time it has measured."""

import itertools
import time


class Timer:
    """Measure several spans of time, in seconds; it starts when it is made."""

    def __init__(self):
        self.times = []
        self.start()

    def start(self):
        """Begin a new span."""
        self._started = time.perf_counter()

    def stop(self):
        """End the span; keep its length in `times` and return it."""
        self.times.append(time.perf_counter() - self._started)
        return self.times[-1]

    def avg(self):
        """The mean of all spans."""
        return sum(self.times) / len(self.times)

    def sum(self):
        """The sum of all spans."""
        return sum(self.times)

    def cumsum(self):
        """The running sums, a list."""
        return list(itertools.accumulate(self.times))
