"""The loop over epochs, and the record of what it measured.

A backend adds how a batch reaches its device, what one step does, and what of a
training is kept in a checkpoint.
"""

import contextlib
import dataclasses
import itertools
import math
import operator
import re
import time
from collections.abc import Iterator

from d2lext.core.checks import check_choice, check_positive
from d2lext.core.data.minibatches import Minibatches
from d2lext.core.hyperparameters import HyperParameters
from d2lext.core.training import checkpoint as checkpoints
from d2lext.core.training import progress, provenance, report
from d2lext.core.training.averages import Averages
from d2lext.core.training.interrupt import Interrupt

FAST_TRAIN_BATCHES, FAST_VAL_BATCHES = 3, 2
_OF_FLAX = ("name", "parent")  # fields of every module, not the author's


class Trainer(HyperParameters):
    """Fit a model to data for `max_epochs` passes over the training set.

    With `num_gpus` >= 1 it trains on a GPU when there is one. `seed` fixes the order
    of the examples, dropout, and the initial weights of a model that is not built yet.
    After `fit`, `history` holds a dict for each epoch: epoch, train_loss, val_loss,
    val_acc, train_seconds, val_seconds.

    `precision` is that of the training steps: "fp32", or "bf16" for products of
    bfloat16 numbers, with float32 parameters and statistics. `compile` says whether a
    step is compiled before it runs. "auto" and None are the fastest that was measured
    for the framework and the kind of machine. Evaluation is float32.

    `checkpoint` is a file to which the training is saved after each epoch and on
    Ctrl-C; where it exists already, `fit` goes on from there. It holds what the
    framework counts as the model's parameters and buffers; after Ctrl-C within an epoch,
    a loader that shuffles by itself gives other batches. With `deterministic` equal runs
    give equal bits, on the same machine with as many threads.
    """

    distributions = ()  # whose versions a result depends on

    def __init__(
        self,
        max_epochs,
        num_gpus=0,
        gradient_clip_val=0,
        seed=0,
        precision="auto",
        compile=None,
        checkpoint=None,
        deterministic=False,
    ):
        check_positive(max_epochs=max_epochs)
        check_choice(("auto", "bf16", "fp32"), precision=precision)
        self.save_hyperparameters()
        self.history = []
        self.gpus = self.find_gpus(num_gpus)
        fastest = self.fastest()
        self.used_precision = fastest[0] if precision == "auto" else precision
        self.compiled = fastest[1] if compile is None else bool(compile)
        self._logged = {}
        self._path = self._bar = self._interrupt = None  # of the `fit` that runs

    # What a backend defines.

    def find_gpus(self, num_gpus):
        """At most `num_gpus` devices of the framework."""
        raise NotImplementedError

    def find_device(self):
        """The device to train on: the first GPU of `self.gpus`, else the CPU."""
        raise NotImplementedError

    def fastest(self):
        """(precision, whether to compile) of the fastest steps on this machine."""
        raise NotImplementedError

    def seed_framework(self):
        """Seed the framework's own random numbers with `self.seed`."""
        raise NotImplementedError

    def only_deterministic(self):
        """A context in which the framework takes no algorithm that varies."""
        return contextlib.nullcontext()

    def get_state(self):
        """What training has changed, NumPy arrays by name; parameters as model/..."""
        raise NotImplementedError

    def set_state(self, arrays):
        """Go on from what `get_state` returned in an earlier process."""
        raise NotImplementedError

    def train_step(self, batch):
        """One step of the optimiser; returns what the model logged, a dict."""
        raise NotImplementedError

    def eval_step(self, batch):
        """Validate on one batch; returns what the model logged, a dict."""
        raise NotImplementedError

    def device_name(self):
        """The device as a reader would call it."""
        raise NotImplementedError

    # The hooks of d2l.

    def prepare_data(self, data):
        """Make the loaders, the training set's in the order that `seed` fixes."""
        self.device, self.data = self.find_device(), data
        data.seed, data.device = self.seed, self.device
        # Some layers have no weights before they have seen a batch. It comes from a
        # loader of its own: taking it must not use up an epoch's order.
        self.sample = next(iter(data.train_dataloader()), None)
        if self.sample is None:
            raise ValueError(
                "the training set must hold at least one batch, got none from "
                f"{type(data).__name__}.train_dataloader()"
            )
        self.train_dataloader = _rereadable(data.train_dataloader)
        self.val_dataloader = _rereadable(data.val_dataloader)
        # 0 where a loader does not know.
        self.num_train_batches = operator.length_hint(self.train_dataloader)
        self.num_val_batches = operator.length_hint(self.val_dataloader)

    def prepare_model(self, model):
        """Give the model its trainer and an empty plot."""
        model.trainer = self
        model.board.reset()
        model.board.xlim = [0, self.num_epochs]
        self.model = model

    def prepare_optimizer(self):
        """Make the optimiser, once the model has its parameters."""
        self.optim = self.model.configure_optimizers()

    def prepare_batch(self, batch):
        """The batch on the device."""
        return batch

    def fit(self, model, data):
        """Train `model` on `data` and print what produced the result."""
        report.shortened(self.max_epochs, self.num_epochs, FAST_TRAIN_BATCHES)
        if self.num_gpus and not self.gpus:
            print("No GPU found: training on the CPU, which takes longer.")
        self.seed_framework()
        self.prepare_data(data)
        self.prepare_model(model)
        self.prepare_optimizer()
        self.train_batch_idx = self.val_batch_idx = self.num_train_examples = 0
        self.history = []
        self._begin_epoch(0)
        with self._running():
            for epoch in range(self.epoch, self.num_epochs):
                self.fit_epoch()
                self._begin_epoch(epoch + 1)
                self._save()
                self._stop_if_asked()
        if self.history:  # a notebook's own fit_epoch may keep none
            report.results(self.history, self.num_train_examples, data)
        auto = " (auto)" if self.precision == "auto" else ""
        compiled = "compiled" if self.compiled else "not compiled"
        print(
            f"{self.device_name()}; {self.used_precision}{auto}, {compiled}; "
            f"seed {self.seed}"
        )
        print(provenance.versions(*self.distributions))

    def fit_epoch(self):
        """One pass over the training set, then one over the validation set."""
        self._started = time.perf_counter() - self._seconds
        batches, most = self._batches, self._most(train=True)
        expected = self._expected(train=True)
        per_point = math.ceil(expected / self.model.plot_train_per_epoch)
        if isinstance(self.train_dataloader, Minibatches):
            self.train_dataloader.epoch = self.epoch
        for batch in itertools.islice(self.train_dataloader, len(batches), most):
            batches.add(self.train_step(self.prepare_batch(batch)), len(batch[-1]))
            self.train_batch_idx += 1
            # Reading a value waits for a GPU, which would idle: once an epoch will do.
            if not self.gpus and expected and len(batches) % per_point == 0:
                self._draw_loss(per_point, expected)
            self._advance()
        self._draw_loss(per_point, expected)
        entry = {"epoch": self.epoch + 1, **batches.means()}
        entry["train_seconds"] = time.perf_counter() - self._started
        self.num_train_examples = batches.num_examples
        if self.val_dataloader is not None:
            start = time.perf_counter()
            values = self._evaluate(self.val_dataloader, self._advance).means()
            # Not other values: that there is none may be what a metric says.
            self._check_finite({k: v for k, v in values.items() if "loss" in k})
            self._draw(self.epoch + 1, values)
            entry |= {**values, "val_seconds": time.perf_counter() - start}
        self.history.append(entry)

    def test(self, data):
        """Print the loss and accuracy on the test set: once, when all is decided.

        They are kept in `test_metrics`.
        """
        averages = self._evaluate(data.test_dataloader())
        self.test_metrics = {
            key.replace("val_", "test_"): value
            for key, value in averages.means().items()
        }
        examples = f"{averages.num_examples:,} {report.kind(data)}"
        print(f"{report.numbers(self.test_metrics)} on {examples}")

    def log(self, key, value, train):
        """Keep a scalar of the current batch; called by a model through `plot`."""
        self._logged[("train_" if train else "val_") + key] = value

    def take_logged(self):
        """What the model logged since the last call."""
        logged, self._logged = self._logged, {}
        return logged

    @property
    def num_epochs(self):
        """The epochs that this run makes: fewer than `max_epochs` in short modes."""
        limit = 1 if provenance.fast_mode() else provenance.epoch_limit()
        return min(self.max_epochs, limit or self.max_epochs)

    @staticmethod
    def _most(train):
        """How many batches to take of a loader at most; None means all."""
        if not provenance.fast_mode():
            return None
        return FAST_TRAIN_BATCHES if train else FAST_VAL_BATCHES

    def _expected(self, train):
        """How many batches an epoch will have, 0 where that is unknown."""
        number = self.num_train_batches if train else self.num_val_batches
        return min(filter(None, (self._most(train), number)), default=0)

    def _evaluate(self, loader, after_batch=lambda: None):
        averages = Averages()
        for batch in itertools.islice(loader, self._most(train=False)):
            averages.add(self.eval_step(self.prepare_batch(batch)), len(batch[-1]))
            self.val_batch_idx += 1
            after_batch()
        return averages

    def _draw_loss(self, per_point, expected):
        """Draw the training batches that are not drawn yet, so many for a point."""
        end = len(self._batches)
        for values, _ in self._batches.floats(self._drawn):
            self._check_finite(values)
        while self._drawn < end:
            first, self._drawn = self._drawn, min(end, self._drawn + (per_point or end))
            whole = per_point and (self._drawn - first == per_point)
            x = min(1, self._drawn / expected) if whole else 1
            self._draw(self.epoch + x, self._batches.means(first, self._drawn))

    def _draw(self, x, values):
        self.model.board.xlabel = "epoch"
        for key, value in values.items():
            self.model.board.draw(x, value, key)

    def _check_finite(self, values):
        """Raise FloatingPointError if a value of a batch is infinite or no number."""
        for key, value in values.items():
            if math.isfinite(value):
                continue
            lr = getattr(self.model, "lr", None)
            at = "" if lr is None else f" with lr={lr}"
            advice = "lower the learning rate or set gradient_clip_val"
            if self.used_precision == "bf16":
                advice += ", or try precision='fp32'"
            raise FloatingPointError(
                f"the {report.name(key)} must stay finite, got {value} in epoch "
                f"{self.epoch + 1}{at}: {advice}"
            )

    @contextlib.contextmanager
    def _running(self):
        """What surrounds the epochs: checkpoint, Ctrl-C, progress, advice on memory."""
        self._path = self.checkpoint or checkpoints.of_next_fit()
        per_epoch = self._expected(train=True) + self._expected(train=False)
        with contextlib.ExitStack() as stack:
            if self.deterministic:
                stack.enter_context(self.only_deterministic())
            if self._path:
                self._interrupt = stack.enter_context(Interrupt())
                self._resume()
            done = self.epoch * per_epoch + len(self._batches)
            self._bar = progress.bar(self.num_epochs * per_epoch, done)
            stack.enter_context(self._bar)
            try:
                yield
            except Exception as error:
                if not _is_out_of_memory(error):
                    raise
                raise MemoryError(self._memory_advice()) from error
            finally:
                self._bar = self._interrupt = None

    def _begin_epoch(self, epoch):
        self.epoch, self._batches = epoch, Averages()
        self._drawn = self._seconds = 0
        self._first_val_batch = self.val_batch_idx

    def _advance(self):
        """After each batch: move the bar, and stop here if Ctrl-C has been pressed."""
        if self._bar is not None:
            text = f"epoch {self.epoch + 1}/{self.num_epochs}"
            self._bar.set_description(text, refresh=False)
            self._bar.update()
        if self._interrupt is not None and self._interrupt.asked:
            for values, _ in self._batches.floats(self._drawn):
                self._check_finite(values)
            self._seconds = time.perf_counter() - self._started
            self._save()
            self._stop_if_asked()

    def _stop_if_asked(self):
        """After the checkpoint is written: stop if Ctrl-C has been pressed."""
        if self._interrupt is not None and self._interrupt.asked:
            raise KeyboardInterrupt(f"the training is saved in {self._path}")

    def _save(self):
        """Write the checkpoint, if one is wanted, as of the last finished step."""
        if not self._path:
            return
        record = {
            "training": self._identity(),
            "epoch": self.epoch,
            "batches": self._batches.floats(),
            "drawn": self._drawn,
            "seconds": self._seconds,
            # An interrupted validation is repeated.
            "batch_indices": [self.train_batch_idx, self._first_val_batch],
            "num_train_examples": self.num_train_examples,
            "history": self.history,
            "board": self.model.board.data,
        }
        checkpoints.save(self._path, record, self.get_state())

    def _resume(self):
        """Go on from the checkpoint where there is one."""
        record, arrays = checkpoints.load(self._path) or ({}, {})
        if not record.get("epoch") and not record.get("batches"):  # of no step
            self._save()  # now, not after an epoch, a reader learns that it cannot be
            return
        for key, value in self._identity().items():
            if record["training"].get(key) != value:
                raise ValueError(
                    f"the checkpoint {self._path} must be of the same training, got "
                    f"{key} = {record['training'].get(key)} where it is {value} now: "
                    "make it equal, name another file, or delete this one"
                )
        now = _model_shapes(self.get_state())
        if differing := now.items() ^ _model_shapes(arrays).items():
            name, shape = min(differing)
            raise ValueError(
                f"the checkpoint {self._path} must be of the same network, got an array "
                f"{name} {shape} that only one of the two has: name another file, or "
                "delete this one"
            )
        self.set_state(arrays)
        self.train_batch_idx, self.val_batch_idx = record["batch_indices"]
        self._begin_epoch(record["epoch"])
        self._batches = Averages(record["batches"])
        self._drawn, self._seconds = record["drawn"], record["seconds"]
        self.num_train_examples = record["num_train_examples"]
        self.history = record["history"]
        steps = f" and {len(self._batches)} steps" if len(self._batches) else ""
        print(f"Goes on from a checkpoint, after epoch {self.epoch}{steps}.")
        self.model.board.xlabel = "epoch"
        self.model.board.restore(record["board"])

    def _identity(self):
        """What must be equal for a training to go on from a checkpoint, as texts."""
        model, options = self.model, getattr(self.model, "hparams", {})
        if dataclasses.is_dataclass(model):  # in Flax
            names = [f.name for f in dataclasses.fields(model) if f.init]
            options = {n: getattr(model, n) for n in names if n not in _OF_FLAX}
        own = {
            "framework": self.distributions[0],
            "network": type(model).__name__,
            "seed": self.seed,
            "precision": self.used_precision,
            "gradient_clip_val": self.gradient_clip_val,
            "deterministic": self.deterministic,
            "batches": self.num_train_batches,
            "data": getattr(self.data, "hparams", {}),
            "images": report.kind(self.data),
        }
        # Where an object lies in memory says nothing of it.
        return {
            key: re.sub(" at 0x[0-9a-f]+", "", repr(value), flags=re.IGNORECASE)
            for key, value in {**options, **own}.items()
            if key != "memory_efficient"  # which changes no result
        }

    def _memory_advice(self):
        more = ""
        if not getattr(self.model, "memory_efficient", True):
            more = ", or create the model with memory_efficient=True"
        return (
            f"a training step must fit into the memory of {self.device_name()}, got a "
            f"batch_size of {len(self.sample[-1])} that does not: lower batch_size{more}"
        )


class _Reread:
    """Batches that can be read only once, such as a generator's, made anew each time."""

    def __init__(self, make):
        self._make = make

    def __iter__(self):
        return self._make()


def _rereadable(make_loader):
    """The loader, to be read once an epoch; None where there is none."""
    loader = make_loader()
    return _Reread(make_loader) if isinstance(loader, Iterator) else loader


def _model_shapes(arrays):
    return {n: a.shape for n, a in arrays.items() if n.startswith("model/")}


def _is_out_of_memory(error):
    """Whether a framework's exception says that memory is exhausted."""
    signs = ("RESOURCE_EXHAUSTED", "out of memory", "can't allocate memory")
    kinds = ("OutOfMemoryError", "ResourceExhaustedError")
    return type(error).__name__ in kinds or any(s in str(error) for s in signs)
