"""Minibatches: which images are held out, their size, their order.

All of it is NumPy, so that equal seeds give equal batches in every framework.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from d2lext.core.checks import check_positive
from d2lext.core.data.fashion_mnist import NUM_TRAIN

NUM_HELD_OUT = 10_000
_SPLIT_SEED = 2017  # never change it: a trained model would have seen what is held out


def split(num_train=None, num_val=None):
    """Indices of the images to train on and of those held out for validation.

    Of one fixed permutation of the 60,000 the last 10,000 are held out, whatever the
    seed of the training. `num_train` and `num_val` take the first ones of each part;
    None means all.
    """
    order = np.random.Generator(np.random.PCG64(_SPLIT_SEED)).permutation(NUM_TRAIN)
    train, val = order[:-NUM_HELD_OUT], order[-NUM_HELD_OUT:]
    return _first(train, num_train=num_train), _first(val, num_val=num_val)


def _first(index, **number):
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
    """An epoch's minibatches each time it is iterated; the last one may be smaller.

    With `shuffle` the order of epoch e depends on `seed` and e alone. A subclass makes
    the batches of their examples' indices, in `batches(indices)`.
    """

    def __init__(self, num_examples, batch_size, shuffle, seed):
        check_positive(num_examples=num_examples, batch_size=batch_size)
        self.num_examples, self.batch_size = num_examples, batch_size
        self.shuffle, self.seed = shuffle, seed
        self.epoch = 0  # of the next iteration

    def __len__(self):
        return -(-self.num_examples // self.batch_size)

    def __iter__(self):
        order = np.arange(self.num_examples)
        if self.shuffle:
            bits = np.random.PCG64([self.seed, self.epoch])
            order = np.random.Generator(bits).permutation(self.num_examples)
        self.epoch += 1
        ends = np.arange(self.batch_size, self.num_examples, self.batch_size)
        return self.batches(np.split(order, ends))

    def batches(self, indices):
        """The batches of the examples `indices`, an array for each batch."""
        raise NotImplementedError


class TensorBatches(Minibatches):
    """Minibatches of `tensors` that share their first axis: the examples `index`.

    `take(tensor, indices)` picks examples of a tensor.
    """

    def __init__(self, tensors, index, batch_size, shuffle, seed, take):
        super().__init__(len(index), batch_size, shuffle, seed)
        self.tensors, self.index, self.take = tensors, index, take

    def batches(self, indices):
        """Tuples of the framework's own tensors."""
        for i in indices:
            yield tuple(self.take(tensor, self.index[i]) for tensor in self.tensors)


class Batches(Minibatches):
    """Minibatches (X, y) of `images`, uint8 (n, h, w), and their `labels`.

    X is uint8 of shape (n, 1, h, w), y is int64; both pass through `convert(X, y)`,
    which makes tensors of them. One thread reads the next batch while the current one
    is used.
    """

    def __init__(self, images, labels, batch_size, shuffle, seed, convert):
        super().__init__(len(labels), batch_size, shuffle, seed)
        self.images, self.labels, self.convert = images, labels, convert

    def batches(self, indices):
        """Each batch after `convert`."""
        # Leaving the block, also when a caller stops early, ends the thread.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as worker:
            coming = worker.submit(self._read, indices[0])
            for index in indices[1:]:
                ready, coming = coming, worker.submit(self._read, index)
                yield self.convert(*ready.result())
            yield self.convert(*coming.result())

    def _read(self, index):
        X = self.images[index][:, None]  # (n, 1, h, w)
        return X, self.labels[index].astype(np.int64)
