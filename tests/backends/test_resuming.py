"""What a checkpoint holds and compares beside arrays: numbers, random numbers, options."""

import itertools
import re

import numpy as np
import pytest
from shared.random_images import Data
from shared.selected import in_backends

pytestmark = pytest.mark.usefixtures("whole_runs")


@pytest.fixture
def fit(d2l, tmp_path):
    """A function that trains what `make` makes; with `resumed`, in two halves."""
    number = itertools.count()

    def fit(make, make_data=lambda: Data(d2l), resumed=False, **options):
        path = tmp_path / f"{next(number)}.npz" if resumed else None
        for max_epochs in (1, 2) if resumed else (2,):
            options = {"precision": "fp32", "checkpoint": path} | options
            trainer = d2l.Trainer(max_epochs, **options)
            model = make()
            trainer.fit(model, make_data())
        return model

    return fit


def assert_equal(framework, a, b):
    for one, other in zip(framework.weights(a), framework.weights(b), strict=True):
        np.testing.assert_array_equal(one, other)


# The state.


@in_backends("torch", "mxnet", "tensorflow")  # JAX runs Python code when it traces
def test_numbers_that_a_step_changes(framework, fit):
    """In the model, in an object in it, in a dict and in a tuple."""

    class Schedule:
        def __init__(self):
            self.steps, self.by_name, self.pair = 0, {}, (0, "a")

        def step(self):
            self.steps += 1
            self.by_name["steps"] = self.by_name.get("steps", 0) + 1
            self.pair = (self.pair[0] + 1, "b")
            return self.steps + self.by_name["steps"] + self.pair[0]

    class Counting(framework.Linear):
        def __init__(self):
            super().__init__()
            self._steps = self.epoch = 0  # a trainer has an `epoch`, too
            self.schedule = Schedule()
            self.rng = np.random.default_rng(0)

        def training_step(self, batch):
            self._steps += 1
            self.epoch += 1
            loss = super().training_step(batch)
            steps = self._steps + self.schedule.step() + self.epoch
            factor = self.rng.random() / steps
            return loss * float(factor)

    whole = fit(Counting, compile=False)
    assert_equal(framework, fit(Counting, resumed=True, compile=False), whole)


def test_numbers_of_a_readers_trainer(d2l, framework, tmp_path):
    """Such as those of early stopping."""

    class Counting(d2l.Trainer):
        epochs = 0

        def fit_epoch(self):
            super().fit_epoch()
            self.epochs += 1

    for max_epochs in (1, 3):
        trainer = Counting(max_epochs, checkpoint=tmp_path / "one.npz")
        trainer.fit(framework.Linear(), Data(d2l))
    assert trainer.epochs == 3


def test_a_generator_that_data_hold(d2l, framework, fit):
    class Shuffled(Data):
        def __init__(self):
            super().__init__(d2l)
            self.sources = {"numpy": np.random.default_rng(0)}

        def get_dataloader(self, train):
            batches = super().get_dataloader(train)
            return (batches[i] for i in self.sources["numpy"].permutation(len(batches)))

    whole = fit(framework.Linear, Shuffled)
    assert_equal(framework, fit(framework.Linear, Shuffled, resumed=True), whole)


@in_backends("torch", "mxnet", "tensorflow", slow=["mxnet"])  # JAX has none
def test_the_order_of_the_frameworks_own_loader(d2l, framework, fit):
    class Loaded(Data):
        def get_dataloader(self, train):
            X, y = (d2l.numpy(array) for array in (self.X[:16], self.y[:16]))
            return framework.loader(X, y)

    def make_data(seeds):
        np.random.seed(next(seeds))  # from which MXNet's loader draws
        return Loaded(d2l)

    def run(*seeds, **options):
        seeds = iter(seeds)
        return fit(framework.Linear, lambda: make_data(seeds), **options)

    assert_equal(framework, run(0, 1, resumed=True), run(0))


# The identity.


def differing(fit, first, second):
    """The options that a second training has differently, as its refusal says."""
    models = iter([first(), second()])
    with pytest.raises(ValueError, match="must be of the same training") as caught:
        fit(lambda: next(models), resumed=True)
    return str(caught.value)


def test_another_optimizer(framework, fit):
    class Adam(framework.Linear):
        rate = 0.1

        def configure_optimizers(self):
            return framework.adam(self, self.rate)

    Faster = type("Adam", (Adam,), {"rate": 0.2})
    Plain = type("Adam", (framework.Linear,), {})
    fit(Adam, resumed=True)
    for first, second in [(Adam, Faster), (Adam, Plain), (Plain, Adam)]:
        assert "got optimizer" in differing(fit, first, second)


@in_backends("torch", "mxnet", "tensorflow")  # fields of Flax are options
def test_what_is_changed_after_the_model_is_made(backend, framework, fit):
    def faster():
        model = framework.Linear()
        model.lr = 0.5
        return model

    def dropping():
        model = framework.Linear()
        name = {"torch": "p", "mxnet": "_rate", "tensorflow": "rate"}[backend]
        setattr(framework.layers(model)[1], name, 0.5)
        return model

    said = differing(fit, framework.Linear, faster)
    assert re.search(r"got (model.lr|optimizer.learning_rate) = 0.1\d* where", said)
    assert "got layers." in differing(fit, framework.Linear, dropping)


def test_another_class_of_the_same_name(framework, fit):
    """As in two notebooks, with equal parameters and another method."""

    def net(turn):
        names = {"__module__": __name__, "turn": turn}
        return type("Net", (framework.Linear,), names)

    first, second = net(lambda self, X: X), net(lambda self, X: -X)
    assert "got other code than now (Net): " in differing(fit, first, second)
    fit(first, resumed=True)


# What is no optimiser, and data with a seed.


@pytest.mark.parametrize("returned", [([1], [2]), {"optimizer": 1}, None])
def test_what_is_no_optimizer(framework, fit, returned):
    class Wrong(framework.Linear):
        def configure_optimizers(self):
            return returned

    kind = type(returned).__name__
    with pytest.raises(TypeError, match=f"^configure_optimizers must .* got {kind}: "):
        fit(Wrong)


def test_a_seed_that_is_the_datas_own(d2l, framework, fit):
    """The trainer's decides the order of the examples all the same."""

    class Split(Data, d2l.DataModule):
        def __init__(self, seed):
            super().__init__(d2l)
            self.seed = seed

        def get_dataloader(self, train):
            self.loader = self.get_tensorloader((self.X, self.y), train)
            return self.loader

    data = Split(seed=5)
    for seed in (1, 2):
        d2l.Trainer(1, seed=seed).fit(framework.Linear(), data)
        assert (data.seed, data.loader.seed) == (5, seed)
