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
        if isinstance(trainer.train_dataloader, list | tuple):
            for batch in itertools.islice(trainer.train_dataloader, most):
                self.check(batch)
        elif _ends_with_one(trainer.train_dataloader, most):
            self.check([array[:1] for array in trainer.sample])

    def check(self, batch: Any) -> Any:
        """The batch; raises ValueError if it is such a batch."""
        if len(batch[-1]) > 1:
            return batch
        shapes = tuple(array.shape for array in batch)
        if shapes not in self._accepted:
            if 1 in self.trainer.values_per_channel(self.trainer.prepare_batch(batch)):
                raise ValueError(
                    "batch normalization must average at least two values per channel, "
                    "got a single one in a batch of one example: choose a batch_size "
                    "that leaves no batch of one, leave one example out, or take larger "
                    "images"
                )
            self._accepted.add(shapes)
        return batch


def _ends_with_one(loader, most):
    """Whether the last batch, which may be smaller, has one example.

    Our loaders tell, and PyTorch's; False for others.
    """
    size = getattr(loader, "batch_size", None)
    number = getattr(loader, "num_examples", None)
    if number is None:
        number = operator.length_hint(getattr(loader, "dataset", ()))
    if not size or not number:
        return False
    full, rest = divmod(number, size)
    if size == 1:
        return True
    is_read = not getattr(loader, "drop_last", False) and (most is None or full < most)
    return rest == 1 and is_read
