"""A batch of one example, in which batch normalization may have a single value."""

import itertools
import operator
from typing import Any

from d2lext.core.training import epochs


class Single:
    """Refuses a batch of one example that a normalization reduces to its bias.

    That happens where it averages a single value per channel: features of 1x1 pixels, or
    of a dense layer. The mean is then the value and the variance 0, for any example.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self._accepted: set = set()  # shapes of batches

    def check_loader(self) -> None:
        """Raise ValueError if the training set has such a batch, as far as is known."""
        trainer = self.trainer
        most = epochs.most_batches(train=True)
        # Reading what is only like a list may have effects.
        if type(trainer.train_dataloader) in (list, tuple):
            read = itertools.islice(trainer.train_dataloader, most)
            batches = epochs.not_empty(read, "training")
            for number, batch in enumerate(batches, 1):
                self._check(batch, number)
        elif _ends_with_one(trainer.train_dataloader, most):
            batch = [array[:1] for array in trainer.sample]
            is_first = len(trainer.sample[-1]) == 1
            self._check(batch, 1 if is_first else trainer.expected_batches(train=True))

    def check(self, batch: Any) -> Any:
        """The batch, which is next; raises ValueError if it is such a batch."""
        self._check(batch, len(self.trainer.current.batches) + 1)
        return batch

    def _check(self, batch, number):
        if len(batch[-1]) > 1:
            return
        shapes = tuple(array.shape for array in batch)
        if shapes in self._accepted:
            return
        if 1 in self.trainer.values_per_channel(self.trainer.prepare_batch(batch)):
            raise ValueError(
                "batch normalization must average at least two values per channel, got "
                f"a single one in batch {number} of the training set, which has one "
                "example: choose a batch_size that leaves no batch of one, leave one "
                "example out, or take larger images"
            )
        self._accepted.add(shapes)


def _ends_with_one(loader, most):
    """Whether the last batch, which may be smaller, has one example.

    Our loaders tell, and PyTorch's; False for others.
    """
    size = getattr(loader, "batch_size", None)
    number = getattr(loader, "num_examples", None)
    if number is None:
        read = getattr(loader, "sampler", None) or getattr(loader, "dataset", ())
        number = operator.length_hint(read)
    if not size or not number:
        return False
    full, rest = divmod(number, size)
    if size == 1:
        return True
    is_read = not getattr(loader, "drop_last", False) and (most is None or full < most)
    return rest == 1 and is_read
