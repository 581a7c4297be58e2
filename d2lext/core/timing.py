"""A stopwatch that keeps every interval it has measured."""

import itertools
import time


class Timer:
    """Measures intervals, in seconds; the first one starts on creation."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.start()

    def start(self) -> None:
        """Begin a new interval."""
        self._started = time.perf_counter()

    def stop(self) -> float:
        """End the interval; keep its length in `times` and return it."""
        self.times.append(time.perf_counter() - self._started)
        return self.times[-1]

    def avg(self) -> float:
        """The mean interval."""
        return sum(self.times) / len(self.times)

    def sum(self) -> float:
        """The sum of all intervals."""
        return sum(self.times)

    def cumsum(self) -> list[float]:
        """The running sums."""
        return list(itertools.accumulate(self.times))
