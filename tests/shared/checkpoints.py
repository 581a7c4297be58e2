"""Trainings that are interrupted, and what must be equal where one was resumed."""

import functools
import signal

import numpy as np

from d2lext.core.data.minibatches import Batches
from d2lext.core.training import checkpoint
from shared.selected import d2l


class CrashError(Exception):
    pass


def crash():
    raise CrashError


def ctrl_c():
    signal.raise_signal(signal.SIGINT)


def at(number, action):
    """A function of a batch's number that calls `action` once, at `number`."""
    return lambda i: action() if i == number else None


def arrays(epoch):
    """The arrays of a checkpoint that belong to an epoch."""
    rng = np.random.default_rng(epoch)
    return {"model/w": rng.random((50, 50), np.float32), "steps": np.array(epoch)}


def save(path, *epochs):
    """A checkpoint after each of the epochs."""
    for epoch in epochs:
        checkpoint.save(path, {"epoch": epoch}, arrays(epoch))


def measured(history):
    """What a history says of the training, without how long it took."""
    return [
        {k: v for k, v in entry.items() if not k.endswith("_seconds")}
        for entry in history
    ]


def same_state(a, b):
    """Whether two trainers' states have equal bits; pickled parts are not compared."""
    a, b = a.get_state(), b.get_state()
    a.pop("others", None), b.pop("others", None)
    return a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)


def assert_same_training(a, b):
    """Two trainers have the same weights, history, plots and counts."""
    assert same_state(a, b)
    assert measured(a.history) == measured(b.history)
    assert a.model.board.data == b.model.board.data
    assert a.num_train_examples == b.num_train_examples
    assert (a.train_batch_idx, a.val_batch_idx) == (b.train_batch_idx, b.val_batch_idx)


def fitted(
    backend, network=None, before_step=None, before_val=None, augment=(), **options
):
    """A trainer after 3 epochs of 3 steps, each with 2 batches to validate on.

    `before_step` is called with the number of each step, `before_val` likewise. `augment`
    changes what is trained on.
    `network` is called as the framework's DenseNetBC.
    """
    package = d2l(backend)
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(40, 8, 8), dtype=np.uint8)
    labels = rng.integers(10, size=40)

    class Images(package.DataModule):
        def get_dataloader(self, train):
            to_tensors = functools.partial(package.FashionMNIST.to_tensors, self)
            # No smaller batch at the end: JAX would compile for it once more.
            part = slice(0, 24) if train else slice(24, None)
            arrays = images[part], labels[part]
            loader = Batches(*arrays, 8, train, self.seed, to_tensors)
            if train and augment:
                loader.augment = augment
            return loader

    class Observed(package.Trainer):
        def train_step(self, batch):
            if before_step:
                before_step(self.train_batch_idx)
            return super().train_step(batch)

        def eval_step(self, batch):
            if before_val:
                before_val(self.val_batch_idx)
            return super().eval_step(batch)

    model = (network or package.DenseNetBC)(
        arch=(1,),
        growth_rate=4,
        num_channels=8,
        num_classes=10,
        small_images=True,
        dropout=0.2,
        lr=0.05,
        momentum=0.9,
        weight_decay=1e-3,
    )
    options = {"max_epochs": 3, "deterministic": True, "precision": "fp32"} | options
    trainer = Observed(**options)
    trainer.fit(model, Images())
    return trainer
