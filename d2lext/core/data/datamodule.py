"""Data sets as d2l's chapters use them; a backend adds only its kind of tensor."""

import numpy as np

from d2lext.core import plotting
from d2lext.core.checks import check_positive
from d2lext.core.data import fashion_mnist, minibatches
from d2lext.core.data.resized import resized
from d2lext.core.hyperparameters import HyperParameters


class DataModule(HyperParameters):
    """Base of data sets: a loader for training and one for validation.

    A trainer sets `seed`, of the order, and `device`, where it wants the batches.
    """

    seed, device = 0, None

    def __init__(self, root="../data", num_workers=4):
        self.save_hyperparameters()

    def get_dataloader(self, train):
        """An iterable over minibatches, for training if `train`."""
        raise NotImplementedError("a DataModule defines get_dataloader(self, train)")

    def train_dataloader(self):
        """The loader of the training set."""
        return self.get_dataloader(train=True)

    def val_dataloader(self):
        """The loader of the validation set."""
        return self.get_dataloader(train=False)

    def get_tensorloader(self, tensors, train, indices=slice(0, None)):
        """Minibatches of `batch_size` examples out of `tensors`, shuffled if `train`.

        The tensors share their first axis, and `indices` says which examples of it.
        """
        return minibatches.TensorBatches(
            tensors,
            np.arange(len(tensors[0]))[indices],
            batch_size=self.batch_size,
            shuffle=train,
            seed=self.seed,
            take=self.take,
        )

    def take(self, tensor, indices):
        """The examples `indices`, a NumPy array, of a tensor."""
        return tensor[indices]


class FashionMNIST(DataModule):
    """Fashion-MNIST (Xiao et al., 2017): ten kinds of garments in 28x28 grey pixels.

    Of the 60,000 training images 10,000 are held out for validation, the same ones
    whatever the seed; the 10,000 test images come from `test_dataloader` alone.
    `resize` is (height, width); `num_train` and `num_val` shorten the sets. Enlarged
    images are made once and kept in the cache as bytes; they become numbers in [0, 1]
    on the device.
    """

    def __init__(self, batch_size=64, resize=(28, 28), num_train=None, num_val=None):
        super().__init__()
        check_positive(batch_size=batch_size, resize=tuple(resize))
        self.save_hyperparameters()
        self.source = fashion_mnist.load()
        self.train_index, self.val_index = minibatches.split(num_train, num_val)

    def to_tensors(self, X, y):
        """Tensors of the framework from NumPy: X (n, 1, h, w) uint8, y (n,) int64.

        The pixels are float32 in [0, 1] then.
        """
        raise NotImplementedError

    def text_labels(self, indices):
        """The names of the classes `indices`."""
        return [fashion_mnist.LABELS[int(i)] for i in indices]

    def get_dataloader(self, train):
        """Shuffled minibatches of the training set, or the validation set in order."""
        index = self.train_index if train else self.val_index
        images, labels = self.source.train_images, self.source.train_labels
        return self._batches(images[index], labels[index], shuffle=train)

    def test_dataloader(self):
        """The test set in order. Look at it once, when everything is decided."""
        images, labels = self.source.test_images, self.source.test_labels
        return self._batches(images, labels, shuffle=False)

    def visualize(self, batch, nrows=1, ncols=8, labels=()):
        """Show the first images of a minibatch with their labels."""
        X, y = batch
        images = X.squeeze(1) if X.shape[1] == 1 else X.squeeze(-1)
        return plotting.show_images(
            images, nrows, ncols, titles=list(labels) or self.text_labels(y)
        )

    def _batches(self, images, labels, shuffle):
        return minibatches.Batches(
            resized(images, self.resize),
            labels,
            batch_size=self.batch_size,
            shuffle=shuffle,
            seed=self.seed,
            convert=self.to_tensors,
        )
