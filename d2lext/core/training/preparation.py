"""What comes before the loop: options, data in batches, model, optimiser."""

import inspect
import operator
from collections.abc import Callable, Iterator
from typing import Any

from d2lext.core.checks import (
    check_choice,
    check_integer,
    check_mean,
    check_not_negative,
    check_positive,
    check_seed,
    is_number,
)
from d2lext.core.data.datamodule import TrainersSeed
from d2lext.core.data.minibatches import Minibatches
from d2lext.core.files import named
from d2lext.core.hyperparameters import HyperParameters
from d2lext.core.module import Module
from d2lext.core.training import advice, epochs, report
from d2lext.core.training.contents import Reading
from d2lext.core.training.moving_average import MovingAverage
from d2lext.core.training.pairs import Pairs
from d2lext.core.training.single import Single
from d2lext.core.training.steps import Steps


class Preparation(Steps, HyperParameters):
    """The options of a trainer, and everything before the first batch."""

    max_epochs: int
    num_gpus: int
    gradient_clip_val: float
    precision: str
    compile: bool | None
    deterministic: bool
    resume: bool
    schedule: Callable[[float], Any] | None
    ema: float | None
    history: list[dict[str, Any]]
    epoch: int
    single: Single
    pairs: Pairs
    reading: Reading
    average: MovingAverage

    def __init__(
        self,
        max_epochs: int,
        num_gpus: int = 0,
        gradient_clip_val: float | None = 0,
        seed: int = 0,
        precision: str = "auto",
        compile: bool | None = None,
        checkpoint: Any = None,
        deterministic: bool = False,
        resume: bool = False,
        schedule: Callable[[float], Any] | None = None,
        ema: float | None = None,
    ):
        if gradient_clip_val is None:
            gradient_clip_val = 0
        if isinstance(num_gpus, bool):  # such as torch.cuda.is_available()
            num_gpus = int(num_gpus)
        if checkpoint:
            checkpoint = named(checkpoint, "checkpoint")
        self.save_hyperparameters()
        self.take_options()
        self.history = []
        self.train_batch_idx = self.val_batch_idx = 0
        self._logged: dict[str, Any] = {}

    def take_options(self) -> None:
        """Check the options as they are now, and choose devices, precision, compilation.

        Each fit does so: an option may have been set since the last one.
        """
        check_positive(max_epochs=self.max_epochs)
        check_integer(0, num_gpus=self.num_gpus)
        check_not_negative(gradient_clip_val=self.gradient_clip_val)
        check_seed(self.seed)
        check_choice(("auto", "bf16", "fp32"), precision=self.precision)
        check_choice((None, True, False), compile=self.compile)
        check_choice(
            (True, False), deterministic=self.deterministic, resume=self.resume
        )
        if not (self.schedule is None or callable(self.schedule)):
            raise ValueError(
                "schedule must be a function of the share of the training that is over, "
                f"got {self.schedule!r}: pass, for example, d2l.CosineSchedule()"
            )
        if self.ema is not None and not (is_number(self.ema) and 0 <= self.ema < 1):
            raise ValueError(
                "ema must be the share of the average that a step keeps, >= 0 and < 1, got "
                f"{self.ema!r}: pass, for example, 0.999"
            )
        self.gpus = self.find_gpus(self.num_gpus)
        fastest = self.fastest()
        is_auto = self.precision == "auto"
        self.used_precision = fastest[0] if is_auto else self.precision
        self.compiled = fastest[1] if self.compile is None else self.compile

    @property
    def num_epochs(self) -> int:
        """The number of epochs in this run: fewer than `max_epochs` in the short modes."""
        return epochs.num_epochs(self.max_epochs)

    def prepare_data(self, data: Any) -> None:
        """Make the loaders, the training set's in the order that `seed` fixes."""
        self._take(data, "train", "fit(model, data)")
        self.train_dataloader = epochs.rereadable(data.train_dataloader)
        self.val_dataloader = epochs.rereadable(data.val_dataloader)
        # 0 if a loader does not know.
        self.num_train_batches = operator.length_hint(self.train_dataloader)
        self.num_val_batches = operator.length_hint(self.val_dataloader)

    def prepare_test(self, data: Any, model: Any) -> None:
        """Take a model as it is, to test it on `data`."""
        self._take(data, "test", "test(data, model)")
        with self.seeded():
            self.prepare_model(model)

    def _take(self, data: Any, part: str, call: str) -> None:
        """Let `data` make batches for the device, and keep the first as a sample."""
        make_loader = getattr(data, f"{part}_dataloader", None)
        if make_loader is None:
            raise TypeError(
                f"{call} takes its batches from data.{part}_dataloader(), which "
                f"{type(data).__name__} lacks: pass a DataModule that has it, in this "
                "order"
            )
        self.device, self.data = self.find_device(), data
        data._order_seed = self.seed
        # A device of their own stays, and a seed: it may decide what is held out.
        if vars(data).setdefault("_takes_device", "device" not in vars(data)):
            data.device = self.device
        if isinstance(getattr(data, "seed", TrainersSeed()), TrainersSeed):
            data.seed = TrainersSeed(self.seed)
        self.reading = Reading([data], depth=0)
        # Some layers have no weights until they have seen a batch. We take it from a
        # separate loader, so as not to use up an epoch's order.
        batches = epochs.not_empty(make_loader(), report.name(part))
        self.sample = next(batches, None)
        advice.check_any(self.sample is not None, data, part)

    def prepare_model(self, model: Any) -> None:
        """Give the model its trainer."""
        if not isinstance(model, Module):
            self.adopt(model)
        model.trainer = self
        self.model, self.single, self.pairs = model, Single(self), Pairs(self)
        self.average = MovingAverage(self)

    def prepare_optimizer(self) -> None:
        """Make the optimiser, once the model has its parameters."""
        self.optim = self.model.configure_optimizers()
        for name, number in self.optimizer_methods.items():
            _check_method(self.optim, name, number)

    def train_batches(self, skip: int = 0) -> Iterator:
        """The training batches of this epoch, without the first `skip`."""
        if isinstance(self.train_dataloader, Minibatches):
            self.train_dataloader.epoch = self.epoch  # which decides their order
        batches = epochs.batches(self.train_dataloader, train=True, skip=skip)
        return map(self.single.check, epochs.not_empty(batches, "training", skip + 1))

    def val_batches(self) -> Iterator:
        """The batches to validate on."""
        return epochs.batches(self.val_dataloader, train=False)

    def expected_batches(self, train: bool) -> int:
        """How many batches an epoch will have, 0 if unknown."""
        loader = self.train_dataloader if train else self.val_dataloader
        return epochs.expected_batches(loader, train)

    def log(self, key: str, value: Any, train: bool) -> None:
        """Keep a scalar of the current batch; called by a model through `plot`."""
        self._logged[("train_" if train else "val_") + key] = value

    def take_logged(self) -> dict[str, Any]:
        """What the model logged since the last call; ValueError if it is not a number."""
        logged, self._logged = self._logged, {}
        check_mean(**{report.name(key): value for key, value in logged.items()})
        return logged


def _check_method(optim: Any, name: str, number: int) -> None:
    """Raise TypeError unless an optimiser has the method `name`, of `number` arguments."""
    method, kind = getattr(optim, name, None), type(optim).__name__
    arguments: list[Any] = [None] * number
    if callable(of_class := getattr(type(optim), name, None)):
        # A schedule of PyTorch wraps the object's, whose signature is then wrong.
        method, arguments = of_class, [optim, *arguments]
    if not callable(method):
        raise TypeError(
            "configure_optimizers must return an optimizer, an object with the method "
            f"{name}, got {kind}: return the optimizer alone, and let the model "
            "itself keep a schedule of the learning rate and step it"
        )
    try:
        inspect.signature(method).bind(*arguments)
    except TypeError as error:
        raise TypeError(
            f"the {name} of an optimizer must take {number} arguments here, got that of "
            f"{kind} ({error}): choose one that computes each gradient once, such as Adam"
        ) from error
    except ValueError:  # it has no signature
        pass
