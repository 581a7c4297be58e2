"""Captured steps are eager ones: the same bits, and what Python does is done.

CUDA's graphs are feigned on the CPU (`shared.feigned_cuda`). The oracle is the same
training without them.
"""

import copy
import random
import warnings

import numpy as np
import pytest
from shared import feigned_cuda
from shared.frameworks import small
from shared.random_images import Data

pytest.importorskip("d2lext.torch", exc_type=ImportError)

import torch
from torch import nn

from d2lext import torch as d2l
from d2lext.torch.speed import graphs

pytestmark = pytest.mark.usefixtures("whole_runs")
EPOCHS = 6


class Net(d2l.Classifier):
    """Two dense layers with normalization and dropout."""

    def __init__(self, lr=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Flatten(),
            nn.Linear(256, 8),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(8, 10),
        )


class Noted(graphs.Graphs):
    """The captured functions of a training, by name."""

    made: dict = {}

    def __init__(self, trainer, function):
        super().__init__(trainer, function)
        self.made[function.__name__] = self


def trained(make, trainer=d2l.Trainer, **options):
    """A new model of `make` after some epochs, and its trainer."""
    torch.manual_seed(0)
    random.seed(0)
    model = make()
    trainer = trainer(max_epochs=EPOCHS, seed=1, **options)
    trainer.fit(model, Data(d2l))
    return model, trainer


def assert_as_eager(monkeypatch, make, trainer=d2l.Trainer, **options):
    """Train eagerly and captured, with equal bits; return the captured functions."""
    expected, eager = trained(make, trainer, **options, compile=False)
    with monkeypatch.context() as patch:
        feigned_cuda.feign(patch, graphs)
        patch.setattr(graphs, "Graphs", Noted)
        model, captured = trained(make, trainer, **options)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    histories = [
        [{k: v for k, v in entry.items() if "seconds" not in k} for entry in t.history]
        for t in (eager, captured)
    ]
    assert histories[0] == histories[1]
    assert [m.training for m in model.modules()] == [
        m.training for m in expected.modules()
    ]
    return Noted.made["_gradients"], Noted.made["_validate"]


NETWORKS = {
    "DenseNet": lambda: small(d2l, arch=(1,)),
    "DenseNetBC": lambda: d2l.DenseNetBC(
        arch=(1,), growth_rate=4, num_channels=8, dropout=0.2, momentum=0.9,
        weight_decay=1e-3, small_images=True, num_classes=10,
    ),
    "dropout": Net,
}  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"gradient_clip_val": 0.5}])
@pytest.mark.parametrize("name", NETWORKS)
def test_replayed_steps_have_equal_bits(monkeypatch, capsys, name, options):
    for steps in assert_as_eager(monkeypatch, NETWORKS[name], **options):
        assert steps.is_capturable
        assert len(steps.graphs) == 2  # the last batch is smaller
        assert steps.replays >= EPOCHS
    assert capsys.readouterr().out.count(", captured; seed 1") == 1


def test_in_bfloat16(monkeypatch):
    """Also within an autocast of the caller's, which keeps weights in bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        train, _ = assert_as_eager(monkeypatch, Net, precision="bf16")
    assert train.replays > EPOCHS


@pytest.mark.parametrize("options", [{"compile": False}, {"deterministic": True}])
def test_steps_that_are_asked_for_otherwise(monkeypatch, options):
    feigned_cuda.feign(monkeypatch, graphs)
    _, trainer = trained(Net, **options)
    assert trainer.how_compiled() == "not compiled"


# What Python does in a step


class Counting(Net):
    """Its learning decays with the number of steps, which it counts."""

    steps = 0

    def training_step(self, batch):
        self.steps += 1
        return super().training_step(batch) / self.steps


class Replacing(Net):
    """Keeps a mean in an attribute, each time in another tensor."""

    mean = torch.zeros(10)

    def forward(self, X):
        Y = self.net(X)
        self.mean = 0.9 * self.mean + 0.1 * Y.detach().mean(0)
        return Y - self.mean


class Appending(Net):
    """Keeps its losses in a list."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def training_step(self, batch):
        loss = super().training_step(batch)
        self.losses.append(loss.detach())
        return loss * len(self.losses)


class Waiting(Net):
    """Scales its loss by a number that Python reads."""

    def training_step(self, batch):
        loss = super().training_step(batch)
        return loss / loss.item()


class Drawing(Net):
    """Leaves out its first layer's features by Python's random numbers."""

    def forward(self, X):
        return self.net(X) * random.random()


class DrawingByNumPy(Net):
    def forward(self, X):
        return self.net(X) * np.random.random()


class Logging(Net):
    """Logs a number of Python's."""

    def training_step(self, batch):
        self.trainer.log("one", 1.0, train=True)
        return super().training_step(batch)


class Scheduled(Net):
    """Steps a schedule that it keeps."""

    def configure_optimizers(self):
        optim = super().configure_optimizers()
        self.schedule = torch.optim.lr_scheduler.StepLR(optim, 2, 0.5)
        return optim

    def training_step(self, batch):
        loss = super().training_step(batch)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it wants to come after the optimiser
            self.schedule.step()
        return loss


CHANGING = "got batches, or values that Python reads, of too many kinds"
OBSTACLES = {
    Counting: CHANGING,
    Replacing: CHANGING,
    Appending: CHANGING,
    Waiting: r"waits for a number of the GPU, as by item\(\)",
    Drawing: "changes random numbers of the CPU",
    DrawingByNumPy: "changes random numbers of the CPU",
    Logging: "changes trainer._logged.train_one",
    Scheduled: "changes .*schedule",
}


@pytest.mark.parametrize("make", OBSTACLES)
def test_a_step_with_work_for_python_is_not_captured(monkeypatch, make):
    monkeypatch.setattr(graphs, "_MOST_EAGER", 10)
    with pytest.warns(UserWarning, match=OBSTACLES[make]):
        train, _ = assert_as_eager(monkeypatch, make)
    assert not train.replays


class Guarded(Net):
    """Notices a capture in its backward pass."""

    def training_step(self, batch):
        loss = super().training_step(batch)
        if loss.requires_grad and feigned_cuda.is_capturing():
            raise ValueError("what is captured here?")
        return loss


def test_a_capture_that_fails(monkeypatch):
    """The step is done nevertheless, and random numbers go on."""
    with pytest.warns(UserWarning, match="got ValueError: what is captured here"):
        train, _ = assert_as_eager(monkeypatch, Guarded)
    assert not train.replays


# What Python reads in a step


class Reading(Net):
    """Multiplies its features by numbers in attributes, one of them in a list."""

    scale = 1.0

    def __init__(self):
        super().__init__()
        self.scales = [1.0]

    def forward(self, X):
        return self.net(X) * self.scale * self.scales[0]


def scale(model):
    model.scale += 1.0


def scale_in_list(model):
    model.scales[0] += 1.0


def drop_more(model):
    model.net[4].p -= 0.2


def freeze(model):
    model.net[1].weight.requires_grad_(not model.net[1].weight.requires_grad)


def swap(model):
    model.net[1].weight.data = model.net[1].weight.data / 2


def replace(model):
    model.net[1] = copy.deepcopy(model.net[1])
    model.net[1].weight.requires_grad_(False)


@pytest.mark.parametrize(
    "change", [scale, scale_in_list, drop_more, freeze, swap, replace]
)
def test_other_values_are_captured_again(monkeypatch, change):
    class Changing(d2l.Trainer):
        def begin_epoch(self, epoch):
            super().begin_epoch(epoch)
            if epoch in (2, 4):
                change(self.model)

    monkeypatch.setattr(graphs, "_MOST_EAGER", 1000)
    train, _ = assert_as_eager(monkeypatch, Reading, Changing)
    assert train.replays


def test_values_that_change_each_time(monkeypatch):
    class Annealing(d2l.Trainer):
        def train_step(self, batch):
            self.model.scale *= 0.99
            return super().train_step(batch)

    monkeypatch.setattr(graphs, "_MOST_EAGER", 5)
    with pytest.warns(UserWarning, match=CHANGING):
        train, _ = assert_as_eager(monkeypatch, Reading, Annealing)
    assert not train.replays


# Optimisers


class Momentum:
    """A reader's own: it keeps the gradients themselves, of three steps."""

    def __init__(self, params):
        self.params, self.kept = list(params), []

    def zero_grad(self):
        for param in self.params:
            param.grad = None

    def step(self):
        self.kept = [*self.kept[-2:], [param.grad for param in self.params]]
        for grads in self.kept:
            for param, grad in zip(self.params, grads, strict=True):
                param -= 0.01 * grad


class Accumulating(torch.optim.SGD):
    """Steps every second time, with the sum of two gradients."""

    calls = 0

    def zero_grad(self, set_to_none=True):
        self.calls += 1
        if self.calls % 2:
            super().zero_grad(set_to_none)


class Zeroing(torch.optim.SGD):
    """Fills gradients with zeros, as PyTorch did before 2.0."""

    def zero_grad(self, set_to_none=False):
        super().zero_grad(set_to_none=False)


OPTIMISERS = {
    "own": lambda model: Momentum(model.parameters()),
    "zeroing": lambda model: Zeroing(model.parameters(), lr=0.1),
    "Adam": lambda model: torch.optim.Adam(model.parameters(), lr=0.01),
    "one layer": lambda model: torch.optim.SGD(model.net[-1].parameters(), lr=0.1),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers(monkeypatch, name):
    class Own(Net):
        def configure_optimizers(self):
            return OPTIMISERS[name](self)

    train, _ = assert_as_eager(monkeypatch, Own)
    assert train.replays > EPOCHS


def test_an_optimiser_that_counts(monkeypatch):
    class Own(Net):
        def configure_optimizers(self):
            return Accumulating(self.parameters(), lr=0.1)

    with pytest.warns(UserWarning, match="changes optimizer.calls"):
        assert_as_eager(monkeypatch, Own)


def test_memory_is_freed_and_models_that_recompute_stay_eager(monkeypatch):
    feigned_cuda.feign(monkeypatch, graphs)
    _, trainer = trained(Net)
    assert not isinstance(trainer._train, graphs.Graphs)
    trainer.test(WithTest(d2l))  # eagerly

    def make():
        return d2l.DenseNetBC(
            arch=(1,), num_channels=8, small_images=True, memory_efficient=True
        )

    assert trained(make)[1].how_compiled() == "not compiled"


class WithTest(Data):
    def test_dataloader(self):
        return self.get_dataloader(train=False)
