"""Data sets as d2l's chapters use them; a backend adds only its tensors."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from d2lext.core import plotting
from d2lext.core.checks import check_positive
from d2lext.core.data import fashion_mnist, minibatches
from d2lext.core.data.augmentation import Augment
from d2lext.core.data.resized import resized
from d2lext.core.hyperparameters import HyperParameters

Tensor = Any  # of the backend's framework


class TrainersSeed(int):
    """The seed that a trainer gives to data that have none of their own."""


class DataModule(HyperParameters):
    """Base of data sets: a loader for training and one for validation.

    `seed`, the trainer's, fixes the order. A subclass may have a seed of its own, such as
    one that decides what is held out: it stays as it is. A trainer also sets `device`,
    which gets the batches, unless the subclass does.
    """

    seed: int = TrainersSeed()
    _order_seed: int | None = None  # a trainer's
    device: Any = None
    batch_size: int  # set by subclasses

    def __init__(self, root: str = "../data", num_workers: int = 4) -> None:
        root = os.path.expanduser(root)
        self.save_hyperparameters()

    def get_dataloader(self, train: bool) -> Iterable:
        """An iterable over minibatches, for training if `train`."""
        raise NotImplementedError("a DataModule defines get_dataloader(self, train)")

    def train_dataloader(self) -> Iterable:
        """The loader of the training set."""
        return self.get_dataloader(train=True)

    def val_dataloader(self) -> Iterable:
        """The loader of the validation set."""
        return self.get_dataloader(train=False)

    def get_tensorloader(
        self,
        tensors: Sequence[Tensor],
        train: bool,
        indices: slice | np.ndarray = slice(0, None),
    ) -> minibatches.TensorBatches:
        """Minibatches of `batch_size` examples from `tensors`, shuffled if `train`.

        The tensors share their first axis; `indices` selects examples along it. Raises
        ValueError if its lengths differ or no example is selected, IndexError if one is
        that is not there.
        """
        is_several = isinstance(tensors, tuple | list)
        lengths = [len(tensor) for tensor in tensors] if is_several else []
        if len(set(lengths)) != 1:
            got = f"the lengths {lengths}" if is_several else type(tensors).__name__
            raise ValueError(
                "tensors must be a tuple such as (X, y), equal in their first axis, got "
                f"{got}: give one label to each example"
            )
        return minibatches.TensorBatches(
            tensors,
            _selected(lengths[0], indices),
            batch_size=self.batch_size,
            shuffle=train,
            seed=_seed_of_order(self),
            take=self.take,
        )

    def take(self, tensor: Tensor, indices: np.ndarray) -> Tensor:
        """The examples `indices` of a tensor; TypeError for a list in place of one."""
        if isinstance(tensor, tuple | list):
            raise TypeError(
                "tensors must be arrays or tensors, of which an array of numbers selects "
                f"examples, got a {type(tensor).__name__}: convert it, as by d2l.tensor"
            )
        return tensor[indices]


def _selected(number: int, indices: Any) -> np.ndarray:
    """The numbers of the examples that `indices` selects of `number`."""
    rule = (
        "indices must select at least one example by a slice, a mask or a list of their "
        f"numbers, below {number}, got "
    )
    remedy = "give a list such as [0]"
    try:
        index = np.arange(number)[indices]
    except IndexError as error:
        raise IndexError(f"{rule}{indices!r} ({error}): {remedy}") from error
    if index.ndim != 1 or (number and not len(index)):
        raise ValueError(f"{rule}{indices!r}: {remedy}")
    return index


def _seed_of_order(data: Any) -> int:
    """The trainer's seed, before any its own; d2l's data modules are not ours."""
    seed = getattr(data, "_order_seed", None)
    return data.seed if seed is None else seed


class FashionMNIST(DataModule):
    """Fashion-MNIST (Xiao et al., 2017): ten kinds of garments in 28x28 grey pixels.

    Of the 60,000 training images 10,000 are held out for validation, the same ones for
    every seed; only `test_dataloader` returns the 10,000 test images. `resize` is
    (height, width), or the side of a square; `num_train` and `num_val` limit the sets.
    Images are enlarged once and cached as bytes; on the device they become numbers in
    [0, 1].

    Training images are changed by each of `augment` in turn, anew in every epoch, such as
    `(RandomShift(2), RandomFlip(), MixUp(0.2))`: functions of images (n, 1, h, w), labels
    and a NumPy generator, which depends on the seed, the epoch and the batch.
    """

    resize: tuple[int, int]
    augment: tuple[Augment, ...] = ()

    def __init__(
        self,
        batch_size: int = 64,
        resize: tuple[int, int] | int = (28, 28),
        num_train: int | None = None,
        num_val: int | None = None,
        augment: Sequence[Augment] | Augment = (),
    ) -> None:
        super().__init__()
        check_positive(batch_size=batch_size)
        resize = _height_width(resize)
        self.save_hyperparameters(ignore=["augment"])
        if augment := _changes(augment):  # else a checkpoint says nothing of it
            self.augment = self.hparams["augment"] = augment
        self.source = fashion_mnist.load()
        self.train_index, self.val_index = minibatches.split(num_train, num_val)

    def to_tensors(self, X: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
        """The framework's tensors from X (n, 1, h, w) uint8 and y (n,) int64.

        The pixels become float32 in [0, 1]. Augmented, they are that already, and y may be
        rows of probabilities (n, classes): these stay as they are.
        """
        raise NotImplementedError

    def resident(self, images: np.ndarray, labels: np.ndarray) -> tuple[Any, Any]:
        """What batches are gathered from: `images`, uint8 (n, h, w), and `labels`.

        A framework may put them on `device`, in the same types and the same order. Then
        `take` gathers there, and `to_tensors` gets arrays of the device.
        """
        return images, labels

    def text_labels(self, indices: Iterable) -> list[str]:
        """The names of the classes `indices`, or of those in rows of probabilities."""
        return [_named(label) for label in indices]

    def get_dataloader(self, train: bool) -> minibatches.Batches:
        """Shuffled minibatches of the training set, or the validation set in order."""
        index = self.train_index if train else self.val_index
        images, labels = self.source.train_images, self.source.train_labels
        return self._batches(images[index], labels[index], shuffle=train)

    def test_dataloader(self) -> minibatches.Batches:
        """The test set in order. Use it once, after every decision has been made."""
        images, labels = self.source.test_images, self.source.test_labels
        return self._batches(images, labels, shuffle=False)

    def visualize(
        self,
        batch: tuple[Tensor, Tensor],
        nrows: int = 1,
        ncols: int = 8,
        labels: Sequence[str] = (),
    ) -> np.ndarray:
        """Show the first images of a minibatch with their labels; return the axes."""
        X, y = batch
        images = X.squeeze(1) if X.shape[1] == 1 else X.squeeze(-1)
        names = list(labels) or [n.replace(", ", "\n") for n in self.text_labels(y)]
        return plotting.show_images(images, nrows, ncols, titles=names)

    def _batches(self, images, labels, shuffle):
        images = resized(images, self.resize)
        is_augmented = shuffle and self.augment
        source = images
        if not is_augmented:  # by NumPy, on the CPU
            source, labels = self.resident(images, labels)
        loader = minibatches.Batches(
            source,
            labels,
            batch_size=self.batch_size,
            shuffle=shuffle,
            seed=_seed_of_order(self),
            convert=self.to_tensors,
            gather=None if source is images else self.take,
        )
        if is_augmented:
            loader.augment = self.augment
        return loader


def _changes(augment: Any) -> tuple[Augment, ...]:
    changes = (augment,) if callable(augment) else tuple(augment)
    for change in changes:
        if not callable(change):
            raise ValueError(
                "augment must hold functions of (X, y, rng), such as d2l.RandomFlip(), "
                f"got {change!r}: call its class, or leave it out"
            )
    return changes


def _named(label: Any) -> str:
    """The name of a class; those in a row of probabilities, the largest first."""
    if not len(getattr(label, "shape", ())):  # TensorFlow's shape () is true
        return fashion_mnist.LABELS[int(label)]
    shares = [float(share) for share in label]
    order = sorted(range(len(shares)), key=lambda i: -shares[i])
    pairs = [(fashion_mnist.LABELS[i], shares[i]) for i in order if shares[i]]
    return ", ".join(f"{name} {share:.2f}" for name, share in pairs)


def _height_width(resize: Any) -> tuple[int, int]:
    is_side = not isinstance(resize, (Sequence, np.ndarray))
    size = (resize, resize) if is_side else tuple(resize)
    check_positive(resize=size)
    if len(size) != 2:
        raise ValueError(f"resize must be (height, width), got {size}: no channels")
    return size
