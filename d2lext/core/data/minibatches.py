"""Minibatches: which images are held out, the size and order of batches.

Everything is NumPy, so equal seeds give equal batches in every framework.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from d2lext.core.checks import check_positive
from d2lext.core.data.augmentation import Augment, augmented
from d2lext.core.data.fashion_mnist import NUM_TRAIN

NUM_HELD_OUT = 10_000
_SPLIT_SEED = 2017  # never change it, or trained models will have seen held-out images


def split(
    num_train: int | None = None, num_val: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training images and of those held out for validation.

    The last 10,000 of one fixed permutation of the 60,000 are held out, whatever the
    training seed. `num_train` and `num_val` keep only the first of each part; None means
    all.
    """
    order = np.random.Generator(np.random.PCG64(_SPLIT_SEED)).permutation(NUM_TRAIN)
    train, val = order[:-NUM_HELD_OUT], order[-NUM_HELD_OUT:]
    return _first(train, num_train=num_train), _first(val, num_val=num_val)


def _first(index: np.ndarray, **number: int | None) -> np.ndarray:
    [(name, value)] = number.items()
    if value is None:
        return index
    check_positive(**number)
    if value > len(index):
        raise ValueError(
            f"{name} must be <= {len(index)}, got {value}: choose fewer images, or "
            "None for all"
        )
    return index[:value]


class Minibatches:
    """One epoch of minibatches per iteration; the last batch may be smaller.

    With `shuffle` the order of epoch e depends only on `seed` and e. A subclass turns
    indices of examples into batches, in `batches(indices)`.
    """

    most_examples: int | None = None  # of each batch, whose others are left out

    def __init__(
        self, num_examples: int, batch_size: int, shuffle: bool, seed: int
    ) -> None:
        check_positive(num_examples=num_examples, batch_size=batch_size)
        self.num_examples, self.batch_size = num_examples, batch_size
        self.shuffle, self.seed = shuffle, seed
        self.epoch = 0  # of the next iteration

    def __len__(self) -> int:
        return -(-self.num_examples // self.batch_size)

    def __iter__(self) -> Iterator:
        order = np.arange(self.num_examples)
        if self.shuffle:
            bits = np.random.PCG64([self.seed, self.epoch])
            order = np.random.Generator(bits).permutation(self.num_examples)
        self.epoch += 1
        ends = np.arange(self.batch_size, self.num_examples, self.batch_size)
        indices = np.split(order, ends)
        return self.batches([index[: self.most_examples] for index in indices])

    def batches(self, indices: Sequence[np.ndarray]) -> Iterator:
        """The batches of the examples `indices`, an array for each batch."""
        raise NotImplementedError


class TensorBatches(Minibatches):
    """Minibatches of the examples `index` of `tensors`, which share their first axis.

    `take(tensor, indices)` selects examples of a tensor.
    """

    def __init__(
        self,
        tensors: Sequence[Any],
        index: np.ndarray,
        batch_size: int,
        shuffle: bool,
        seed: int,
        take: Callable[[Any, np.ndarray], Any],
    ) -> None:
        super().__init__(len(index), batch_size, shuffle, seed)
        self.tensors, self.index, self.take = tensors, index, take

    def batches(self, indices: Iterable[np.ndarray]) -> Iterator[tuple]:
        """Tuples of the framework's tensors."""
        for i in indices:
            yield tuple(self.take(tensor, self.index[i]) for tensor in self.tensors)


class Batches(Minibatches):
    """Minibatches (X, y) of `images`, uint8 (n, h, w), and their `labels`.

    X is uint8 of shape (n, 1, h, w), y is int64; `convert(X, y)` turns them into
    tensors. A thread reads the next batch while the current one is in use, and changes it
    by `augment`, if there are any: X is then float32 in [0, 1]. With `gather` the two are
    arrays on a device, where `gather(array, indices)` selects examples at once: there is
    no thread, and y has the type of `labels`.
    """

    augment: Sequence[Augment] = ()

    def __init__(
        self,
        images: Any,
        labels: Any,
        batch_size: int,
        shuffle: bool,
        seed: int,
        convert: Callable[[Any, Any], tuple],
        gather: Callable[[Any, np.ndarray], Any] | None = None,
    ) -> None:
        super().__init__(images.shape[0], batch_size, shuffle, seed)
        self.images, self.labels = images, labels
        self.convert, self.gather = convert, gather

    def batches(self, indices: Sequence[np.ndarray]) -> Iterator[tuple]:
        """Each batch after `convert`."""
        if self.gather is None:
            return self._read_ahead(indices, self.epoch - 1)
        return self._gathered(indices, self.gather)

    def _gathered(self, indices, gather):
        for i in indices:
            X, y = gather(self.images, i), gather(self.labels, i)
            yield self.convert(X[:, None], y)

    def _read_ahead(self, indices, epoch):
        # Leaving the block ends the thread, even if a caller stops early.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as worker:
            following = worker.submit(self._read, indices[0], epoch, 1)
            for number, index in enumerate(indices[1:], 2):
                ready = following
                following = worker.submit(self._read, index, epoch, number)
                yield self.convert(*ready.result())
            yield self.convert(*following.result())

    def _read(self, index, epoch, number):
        X = self.images[index][:, None]  # (n, 1, h, w)
        y = self.labels[index].astype(np.int64)
        if not self.augment:
            return X, y
        # From 1: NumPy takes [seed, epoch, 0], too, for the generator of the order.
        return augmented(X, y, self.augment, [self.seed, epoch, number])
