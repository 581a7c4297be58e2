"""The loop over epochs, and the record of what it measured.

A backend adds how a batch reaches its device and what one step does.
"""

import itertools
import math
import operator
import time
from collections import defaultdict
from collections.abc import Iterator

from d2lext.core import provenance
from d2lext.core.checks import check_positive
from d2lext.core.hyperparameters import HyperParameters

FAST_TRAIN_BATCHES, FAST_VAL_BATCHES = 3, 2


class Averages:
    """Means over examples of values that were measured batch by batch.

    The last batch may be smaller, so each value counts as often as its batch has
    examples. Values stay where they are (on a device, not yet computed) until
    `means` is called.
    """

    def __init__(self):
        self._values = defaultdict(list)
        self.num_examples = 0

    def add(self, values, num_examples):
        """Add a batch's mean values, a dict of scalars."""
        self.num_examples += num_examples
        for key, value in values.items():
            self._values[key].append((value, num_examples))

    def means(self):
        """The mean of each key over all examples so far, as floats."""
        return {
            key: sum(float(v) * n for v, n in pairs) / sum(n for _, n in pairs)
            for key, pairs in self._values.items()
        }


class Trainer(HyperParameters):
    """Fit a model to data for `max_epochs` passes over the training set.

    With `num_gpus` >= 1 it trains on a GPU when there is one. `seed` fixes the order
    of the examples, dropout, and the initial weights of a model that is not built yet.
    After `fit`, `history` holds a dict for each epoch: epoch, train_loss, val_loss,
    val_acc, train_seconds, val_seconds.
    """

    distributions = ()  # whose versions a result depends on

    def __init__(self, max_epochs, num_gpus=0, gradient_clip_val=0, seed=0):
        check_positive(max_epochs=max_epochs)
        self.save_hyperparameters()
        self.history = []
        self.gpus = self.find_gpus(num_gpus)
        self._logged = {}

    # What a backend defines.

    def find_gpus(self, num_gpus):
        """At most `num_gpus` devices of the framework."""
        raise NotImplementedError

    def seed_framework(self):
        """Seed the framework's own random numbers with `self.seed`."""
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
        data.seed = self.seed
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
        self._announce()
        self.seed_framework()
        self.prepare_data(data)
        self.prepare_model(model)
        self.prepare_optimizer()
        self.epoch = self.train_batch_idx = self.val_batch_idx = 0
        self.history = []
        start = time.perf_counter()
        for epoch in range(self.num_epochs):
            self.epoch = epoch
            self.fit_epoch()
        self._report(data, time.perf_counter() - start)

    def fit_epoch(self):
        """One pass over the training set, then one over the validation set."""
        start = time.perf_counter()
        epoch, since_point = Averages(), Averages()
        most = self._most(train=True)
        expected = min(filter(None, (most, self.num_train_batches)), default=0)
        per_point = math.ceil(expected / self.model.plot_train_per_epoch)
        batches = itertools.islice(self.train_dataloader, most)
        for i, batch in enumerate(batches, 1):
            logged = self.train_step(self.prepare_batch(batch))
            self.train_batch_idx += 1
            for averages in (epoch, since_point):
                averages.add(logged, len(batch[-1]))
            if expected and i % per_point == 0:
                self._draw(self.epoch + min(1, i / expected), since_point.means())
                since_point = Averages()
        if since_point.num_examples:
            self._draw(self.epoch + 1, since_point.means())
        entry = {"epoch": self.epoch + 1, **epoch.means()}
        entry["train_seconds"] = time.perf_counter() - start
        self._num_train_examples = epoch.num_examples
        if self.val_dataloader is not None:
            start = time.perf_counter()
            values = self._evaluate(self.val_dataloader).means()
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
        examples = f"{averages.num_examples:,} {_kind(data)}"
        print(f"{_numbers(self.test_metrics)} on {examples}")

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

    def _evaluate(self, loader):
        averages = Averages()
        for batch in itertools.islice(loader, self._most(train=False)):
            averages.add(self.eval_step(self.prepare_batch(batch)), len(batch[-1]))
            self.val_batch_idx += 1
        return averages

    def _draw(self, x, values):
        self.model.board.xlabel = "epoch"
        for key, value in values.items():
            self.model.board.draw(x, value, key)

    def _announce(self):
        if provenance.fast_mode():
            print(
                f"D2LEXT_FAST is set: {FAST_TRAIN_BATCHES} batches instead of "
                f"{self.max_epochs} epochs. The numbers below mean nothing."
            )
        elif self.num_epochs < self.max_epochs:
            print(
                f"D2LEXT_EPOCHS={self.num_epochs}: training {self.num_epochs} of "
                f"{self.max_epochs} epochs."
            )
        if self.num_gpus and not self.gpus:
            print("No GPU found: training on the CPU, which takes longer.")

    def _report(self, data, seconds):
        if self.history:  # a notebook's own fit_epoch may keep none
            epochs = f"{self.num_epochs} epoch{'s' if self.num_epochs > 1 else ''}"
            examples = f"{self._num_train_examples:,} {_kind(data)}"
            print(f"after {epochs} of {examples}, {seconds:.0f} s:")
            print(_numbers(self.history[-1]))
        print(f"{self.device_name()}; float32; seed {self.seed}")
        print(provenance.versions(*self.distributions))


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


def _numbers(values):
    """The losses and accuracies among `values`, as a reader says them."""
    names = {"train": "training", "val": "validation", "acc": "accuracy"}
    return ", ".join(
        f"{' '.join(names.get(word, word) for word in key.split('_'))} {value:.3f}"
        for key, value in values.items()
        if "_" in key and not key.endswith("_seconds")
    )


def _kind(data):
    """What the examples of `data` are called, synthetic ones by that name."""
    origin = getattr(getattr(data, "source", None), "origin", None)
    return {None: "examples", "real": "images"}.get(origin, f"{origin} images")
