"""The book's DenseNet and trainer as a user runs them, in any of the frameworks."""

import importlib
import sys


def prepare(trainer, model, data):
    """Do what `trainer.fit(model, data)` does before its first step."""
    trainer.seed_framework()
    trainer.prepare_data(data)
    trainer.prepare_model(model)
    trainer.prepare_optimizer()
    trainer.epoch = trainer.train_batch_idx = trainer.val_batch_idx = 0


def wait(backend, trainer, logged):
    """Return once everything is computed: frameworks run asynchronously.

    `logged` is what the last step returned.
    """
    if backend == "mxnet":
        sys.modules["mxnet"].nd.waitall()
    elif backend == "jax":
        sys.modules["jax"].block_until_ready((trainer.state, logged))
    else:
        for value in logged.values():
            float(value)


def losses(trainer):
    """A list to which each training step of a trainer adds its loss."""
    found, step = [], trainer.train_step

    def recorded(batch):
        logged = step(batch)
        found.append(float(logged["train_loss"]))
        return logged

    trainer.train_step = recorded
    return found


class Side:
    """A trainer that is ready for its first step."""

    def __init__(self, backend, num_images, precision, batch_size, resize):
        self.backend = backend
        d2l = importlib.import_module(f"d2lext.{backend}")
        data = d2l.FashionMNIST(
            batch_size=batch_size, resize=resize, num_train=num_images or None
        )
        options = {} if precision == "auto" else {"precision": precision}
        self.trainer = d2l.Trainer(max_epochs=1, num_gpus=1, **options)
        self.details = {
            "device": self.trainer.device_name() if self.trainer.gpus else "CPU",
            "precision": getattr(self.trainer, "used_precision", "fp32"),
            "compiled": getattr(self.trainer, "compiled", False),
        }
        self.versions = ("d2lext", *self.trainer.distributions)
        self.model = d2l.DenseNet(lr=0.01)
        self.num_params = d2l.num_params
        prepare(self.trainer, self.model, data)

    def batches(self):
        """An epoch's minibatches."""
        return iter(self.trainer.train_dataloader)

    def step(self, batch):
        """One step of the optimiser."""
        self.logged = self.trainer.train_step(self.trainer.prepare_batch(batch))

    def wait(self):
        """Return once everything is computed."""
        wait(self.backend, self.trainer, self.logged)


def start(backend, num_images=0, precision="auto", batch_size=128, resize=(96, 96)):
    """The side for `backend`; `num_images`, if given, limits the training images."""
    return Side(backend, num_images, precision, batch_size, resize)


def num_params(side):
    """The number of trainable parameters."""
    return side.num_params(side.model)
