"""Means over examples, from values measured batch by batch."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

# The values of a batch, and how many examples it had.
Batch = tuple[dict[str, Any], int]


class Averages:
    """The values of batches, and their means over examples.

    Batches are weighted by size, since the last one may be smaller. Values stay where
    they are (on a device, perhaps not yet computed) until they are read.
    """

    def __init__(self, batches: Iterable = ()):
        self.batches: list[Batch] = [(values, number) for values, number in batches]

    def __len__(self) -> int:
        return len(self.batches)

    @property
    def num_examples(self) -> int:
        """The number of examples in all batches."""
        return sum(number for _, number in self.batches)

    def add(self, values: dict[str, Any], num_examples: int) -> None:
        """Add the mean values of a batch, scalars by name."""
        self.batches.append((values, num_examples))

    def floats(self, first: int = 0, last: int | None = None) -> list[Batch]:
        """(dict of floats, number of examples) of the batches from `first` to `last`."""
        for i, (values, number) in enumerate(self.batches[first:last], first):
            values = {key: float(value) for key, value in values.items()}
            self.batches[i] = values, number
        return self.batches[first:last]

    def means(self, first: int = 0, last: int | None = None) -> dict[str, float]:
        """The mean of each key over the examples of these batches, as floats."""
        pairs = defaultdict(list)
        for values, number in self.floats(first, last):
            for key, value in values.items():
                pairs[key].append((value, number))
        return {
            key: sum(v * n for v, n in some) / sum(n for _, n in some)
            for key, some in pairs.items()
        }
