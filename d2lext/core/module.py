"""d2l's Module and Classifier without a framework: the steps that all backends share.

A backend's classes extend these and add everything that touches a tensor. JAX, whose
functions take the parameters as arguments, replaces the steps as well.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from d2lext.core.checks import check_not_negative
from d2lext.core.densenet.architecture import Architecture
from d2lext.core.hyperparameters import HyperParameters
from d2lext.core.plotting import ProgressBoard

Tensor = Any  # of the backend's framework


class Module(HyperParameters):
    """Base of models: a network `net`, a loss and an optimiser."""

    min_image_size = 0  # pixels, of a network for images; 0: it takes anything
    lr: Any
    trainer: Any  # the Trainer, once it fits the model
    __call__: Callable[..., Tensor]  # the framework's, which calls `forward`

    def __init__(
        self, plot_train_per_epoch: int = 5, plot_valid_per_epoch: int = 1
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.board = ProgressBoard()

    def check_hyperparameters(self) -> None:
        """Check a DenseNet's, from which its smallest image follows, in pixels.

        A class whose own stem takes smaller ones sets `min_image_size` itself, and one that
        takes other hyperparameters, such as a growth rate for each block, overrides this.
        Raises ValueError for a hyperparameter that no DenseNet of the book can have.
        """
        if not Architecture.describes(self):
            return
        try:
            network = Architecture.of(self)
        except ValueError as error:
            if not isinstance(getattr(self, "growth_rate", None), (list, tuple)):
                raise
            remedy = "in a class of your own that takes several, override"
            raise ValueError(f"{error}: {remedy} check_hyperparameters") from None
        if not type(self).min_image_size:
            self.min_image_size = network.min_image_size

    def __getstate__(self) -> Any:
        """What a copy or a pickle holds: not the trainer, which has the data."""
        own = getattr(super(), "__getstate__", None)  # Python 3.10 has none of object
        state = dict(own() if own else vars(self))
        state.pop("trainer", None)
        return state

    def loss(self, y_hat: Tensor, y: Tensor) -> Tensor:
        """The mean loss of predictions `y_hat` against labels `y`."""
        raise NotImplementedError(f"{type(self).__name__} must define loss(y_hat, y)")

    def plot(self, key: str, value: Tensor, train: bool) -> None:
        """Hand a scalar of this batch to the trainer, which averages and draws it."""
        self.trainer.log(key, value, train)

    def training_step(self, batch: Sequence[Tensor]) -> Tensor:
        """The mean loss of a minibatch, to be differentiated."""
        Y_hat, Y = self(*batch[:-1]), batch[-1]
        self.trainer.pairs.check(lambda Y: self.loss(Y_hat, Y), Y_hat, Y)
        l = self.loss(Y_hat, Y)
        self.plot("loss", l, train=True)
        return l

    def validation_step(self, batch: Sequence[Tensor]) -> None:
        """Log the loss of a minibatch."""
        self.plot("loss", self.loss(self(*batch[:-1]), batch[-1]), train=False)

    def configure_optimizers(self) -> Any:
        """Minibatch stochastic gradient descent with learning rate `self.lr`.

        `self.momentum` and `self.weight_decay` are used if the model has them; the
        latter, times a weight, is added to its gradient. Raises ValueError unless all
        three are finite numbers >= 0; in JAX and TensorFlow `lr` may be a schedule.
        """
        raise NotImplementedError

    def sgd_options(self, schedules: bool = False) -> tuple[Any, float, float]:
        """The learning rate, momentum and weight decay of `configure_optimizers`.

        With `schedules` the first may be a function of the step.
        """
        options = {
            "lr": self.lr,
            "momentum": getattr(self, "momentum", 0),
            "weight_decay": getattr(self, "weight_decay", 0),
        }
        for name, value in options.items():
            if schedules and name == "lr" and callable(value):
                continue
            if getattr(value, "shape", None) == ():  # a tensor that holds one number
                value = float(value)
            check_not_negative(**{name: value})
            options[name] = float(value)
        return options["lr"], options["momentum"], options["weight_decay"]


class Classifier(Module):
    """Base of classifiers: cross-entropy loss and accuracy."""

    accuracy: Callable[..., Tensor]  # the backend's, of predictions and labels

    def validation_step(self, batch: Sequence[Tensor]) -> None:
        """Log the loss and the accuracy of a minibatch."""
        Y_hat = self(*batch[:-1])
        self.plot("loss", self.loss(Y_hat, batch[-1]), train=False)
        self.plot("acc", self.accuracy(Y_hat, batch[-1]), train=False)


def check_labels(logits: Sequence[int], labels: Sequence[int]) -> None:
    """Raise ValueError unless shapes such as (n, t, classes) and (n, t) belong together.

    >>> check_labels((8, 10), (8, 10))
    Traceback (most recent call last):
    ValueError: labels must be the number of a class for each of the 8 examples, got the \
shape (8, 10): take the argmax of one-hot labels
    """
    *examples, _ = logits
    if None in (*logits, *labels):
        return
    # Also (n, classes, h, w) and (n, h, w), where classes and w are equal.
    axes, others = ([n for n in shape if n != 1] for shape in (examples, labels))
    swapped = len(axes) == len(others) and axes != others
    number = math.prod(examples)
    if swapped or math.prod(labels) != number:
        remedy = "take the argmax of one-hot labels"
        if math.prod(labels) != math.prod(logits):
            remedy = f"make the classes the last axis of the logits {tuple(logits)}"
        raise ValueError(
            f"labels must be the number of a class for each of the {number} examples, "
            f"got the shape {tuple(labels)}: {remedy}"
        )
