"""Means over the examples of batches."""

from collections import defaultdict


class Averages:
    """Means over examples of values that were measured batch by batch.

    The last batch may be smaller, so each value counts as often as its batch has
    examples. Values stay where they are (on a device, not yet computed) until
    `means` is called.
    """

    def __init__(self, batches=()):
        self.batches = [tuple(batch) for batch in batches]  # (values, number)

    def __len__(self):
        return len(self.batches)

    @property
    def num_examples(self):
        """How many examples there were in all batches."""
        return sum(number for _, number in self.batches)

    def add(self, values, num_examples):
        """Add a batch's mean values, a dict of scalars."""
        self.batches.append((values, num_examples))

    def floats(self, first=0, last=None):
        """(dict of floats, number of examples) of the batches from `first` to `last`."""
        for i, (values, number) in enumerate(self.batches[first:last], first):
            values = {key: float(value) for key, value in values.items()}
            self.batches[i] = values, number
        return self.batches[first:last]

    def means(self, first=0, last=None):
        """The mean of each key over the examples of these batches, as floats."""
        pairs = defaultdict(list)
        for values, number in self.floats(first, last):
            for key, value in values.items():
                pairs[key].append((value, number))
        return {
            key: sum(v * n for v, n in some) / sum(n for _, n in some)
            for key, some in pairs.items()
        }
