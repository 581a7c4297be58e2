"""A trainer without a framework: linear regression by NumPy, with noise and momentum.

It has all that a checkpoint must keep: weights, the optimiser's state, random numbers.
"""

import json
from types import SimpleNamespace

import numpy as np

from d2lext.core.data.datamodule import DataModule
from d2lext.core.module import Module
from d2lext.core.plotting import ProgressBoard
from d2lext.core.training import trainer

NUM_STEPS = 4  # of an epoch


class Data(DataModule):
    """26 examples to train on, in batches of 8, so that the last one is smaller."""

    def __init__(self, batch_size=8):
        super().__init__()
        self.save_hyperparameters()
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(40, 3))
        self.y = self.X @ [1.0, -2.0, 3.0]

    def get_dataloader(self, train):
        part = slice(0, 26) if train else slice(26, None)
        return self.get_tensorloader((self.X, self.y), train, part)


class Model(Module):
    """Three weights, and the options that belong to a training."""

    def __init__(self, lr=0.01, loss=None):
        super().__init__(plot_train_per_epoch=2)
        self.save_hyperparameters()
        self.board = ProgressBoard(display=False)
        self.w = np.zeros(3)

    def configure_optimizers(self):
        return np.zeros(3)  # momentum


class Trainer(trainer.Trainer):
    """`before_step` and `before_val` are called before each batch, with its number."""

    distributions = ("numpy",)
    devices = SimpleNamespace(num_gpus=lambda: 0, why_no_gpu=lambda: "")

    def __init__(self, max_epochs=3, before_step=None, before_val=None, **options):
        super().__init__(max_epochs, **options)
        self.before_step, self.before_val = before_step, before_val

    def find_device(self):
        return "cpu"

    def fastest(self):
        return "fp32", False

    def numpy(self, tensor):
        return tensor

    def output_shape(self, batch):
        return (len(batch[-1]),)

    def values_per_channel(self, batch):
        return []

    def weights_are_finite(self):
        return bool(np.isfinite(self.model.w).all())

    def seed_framework(self):
        self.rng = np.random.default_rng(self.seed)

    def device_name(self):
        return "an abacus"

    def train_step(self, batch):
        if self.before_step:
            self.before_step(self.train_batch_idx)
        X, y = batch
        X = X * (self.rng.random(X.shape) < 0.9)
        error = X @ self.model.w - y
        self.optim += X.T @ error / len(y) - 0.1 * self.optim
        self.model.w -= self.model.lr * self.optim
        self.log("loss", (error**2).mean(), train=True)
        return self.take_logged()

    def eval_step(self, batch):
        if self.before_val:
            self.before_val(self.val_batch_idx)
        X, y = batch
        self.log("loss", ((X @ self.model.w - y) ** 2).mean(), train=False)
        return self.take_logged()

    def get_state(self):
        rng = json.dumps(self.rng.bit_generator.state).encode()
        return {
            "model/w": self.model.w,
            "momentum": self.optim,
            "rng": np.frombuffer(rng, np.uint8),
        }

    def set_state(self, arrays):
        self.model.w[:] = arrays["model/w"]
        self.optim[:] = arrays["momentum"]
        self.rng.bit_generator.state = json.loads(arrays["rng"].tobytes())


def fit(**options):
    """(trainer, model) after a training with the options of a Trainer."""
    model = options.pop("model", None) or Model()
    data = options.pop("data", None) or Data()
    trainer = Trainer(**options)
    trainer.fit(model, data)
    return trainer, model
