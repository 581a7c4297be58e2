"""What d2l's notebooks call besides networks: figures, clocks, loaders of any kind."""

import importlib
import time

import numpy as np
import pytest
from conftest import BACKENDS
from matplotlib import pyplot as plt

from d2lext.book.backends import IDS
from d2lext.core import plotting
from d2lext.core.datamodule import DataModule
from d2lext.core.timing import Timer
from d2lext.core.trainer import Trainer


@pytest.fixture(autouse=True)
def figures(monkeypatch):
    """Drawn nowhere and closed afterwards."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    with plt.rc_context():
        yield
    plt.close("all")


X = np.arange(4.0)


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ((X,), [(X, X)]),
        (([3, 1, 2],), [(X[:3], [3, 1, 2])]),
        ((X, X**2), [(X, X**2)]),
        ((X, [X**2, X**3]), [(X, X**2), (X, X**3)]),
        (([X, X + 1], [X**2, X**3]), [(X, X**2), (X + 1, X**3)]),
        ((X, np.stack([X, -X])), [(X, X), (X, -X)]),
        (([X, X**2],), [(X, X), (X, X**2)]),
    ],
)
def test_plot(arguments, lines):
    plotting.plot(
        *arguments, xlabel="x", ylabel="f(x)", legend=["f", "g"][: len(lines)]
    )
    axes = plt.gca()
    drawn = [np.array(line.get_data()) for line in axes.get_lines()]
    assert len(drawn) == len(lines)
    assert all(map(np.array_equal, drawn, map(np.array, lines)))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "f(x)")
    assert axes.get_legend().get_texts()[0].get_text() == "f"
    assert axes.figure.get_size_inches().tolist() == [3.5, 2.5]


def test_the_scale_of_axes_keeps_their_limits():
    axes = plt.gca()
    plotting.set_axes(axes, "x", "y", [1, 10], [2, 20], "log", "log", ["f"][:0])
    assert (axes.get_xlim(), axes.get_ylim()) == ((1, 10), (2, 20))
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


@pytest.mark.parametrize("shape", [(3, 5, 4), (3, 5, 4, 3)])
def test_images(shape):
    images = np.random.default_rng(0).random(shape)
    axes = plotting.show_images(images, 2, 2, titles=["a", "b", "c"])
    assert axes.shape == (4,)
    assert [ax.get_title() for ax in axes] == ["a", "b", "c", ""]
    assert np.array_equal(axes[1].get_images()[0].get_array(), images[1])


def test_timer(monkeypatch):
    seconds = iter([1, 3, 10, 14])
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds))
    timer = Timer()
    assert timer.stop() == 2
    timer.start()
    timer.stop()
    assert (timer.times, timer.sum(), timer.avg()) == ([2, 4], 6, 3)
    assert timer.cumsum() == [2, 6]


class Data(DataModule):
    def __init__(self, X):
        super().__init__()
        self.batch_size = 3
        self.X = X

    def get_dataloader(self, train):
        tensors = (self.X, self.X + 10)
        return self.get_tensorloader(tensors, train, slice(0, 7) if train else [1, 8])


def test_tensors_are_batched_and_shuffled_for_training_alone():
    data = Data(np.arange(9))
    loader = data.train_dataloader()
    assert len(loader) == 3
    first, second = ([X.tolist() for X, _ in loader] for _ in range(2))
    assert [len(X) for X in first] == [3, 3, 1]
    assert sorted(sum(first, [])) == list(range(7))
    assert first != second, "each epoch has an order of its own"
    assert first != [[0, 1, 2], [3, 4, 5], [6]]
    assert first == [X.tolist() for X, _ in data.train_dataloader()], "by the seed"
    data.seed = 1
    assert first != [X.tolist() for X, _ in data.train_dataloader()]
    assert all((y == X + 10).all() for X, y in loader)
    [(X, y)] = data.val_dataloader()
    assert (X.tolist(), y.tolist()) == ([1, 8], [11, 18])


@pytest.mark.parametrize("backend", BACKENDS or IDS)
def test_batches_are_the_frameworks_own_tensors(backend):
    try:
        d2l = importlib.import_module(f"d2lext.{backend}")
    except ImportError as error:
        pytest.skip(str(error))

    class Tensors(d2l.DataModule):
        batch_size = 4
        get_dataloader = Data.get_dataloader

    data = Tensors()
    data.X = d2l.reshape(d2l.arange(18), (9, 2))
    for X, y in data.train_dataloader():
        assert type(X) is type(y) is type(data.X)
        assert X.dtype == data.X.dtype
        assert (d2l.numpy(y) == d2l.numpy(X) + 10).all()
    [(X, _)] = data.val_dataloader()
    assert d2l.numpy(X).tolist() == [[2, 3], [16, 17]]


class Counter(Trainer):
    """Sees batches go by."""

    distributions = ()

    def find_gpus(self, num_gpus):
        return []

    def seed_framework(self):
        pass

    def device_name(self):
        return "none"

    def train_step(self, batch):
        return {"train_loss": batch[0]}

    def eval_step(self, batch):
        return {"val_loss": batch[0]}


class Model:
    plot_train_per_epoch = 2

    def __init__(self):
        self.board = plotting.ProgressBoard(display=False)

    def configure_optimizers(self):
        pass


def generator():
    for i in range(5):
        yield i, [0, 0]


class Unsized:
    __iter__ = staticmethod(generator)


@pytest.mark.parametrize(
    ("make", "points"),
    [
        (lambda: list(generator()), [(0.6, 1), (1, 3.5), (1.6, 1), (2, 3.5)]),
        (generator, [(1, 2), (2, 2)]),
        (Unsized, [(1, 2), (2, 2)]),
    ],
)
@pytest.mark.parametrize("validate", [True, False])
def test_any_iterable_is_a_loader(monkeypatch, make, points, validate):
    class Any(DataModule):
        def train_dataloader(self):
            return make()

        def val_dataloader(self):
            return make() if validate else None

    monkeypatch.delenv("D2LEXT_FAST", raising=False)
    trainer, model = Counter(max_epochs=2), Model()
    trainer.fit(model, Any())
    assert [entry["train_loss"] for entry in trainer.history] == [2, 2]
    assert [entry.get("val_loss") for entry in trainer.history] == [
        2 if validate else None
    ] * 2
    assert model.board.data["train_loss"] == [pytest.approx(p) for p in points]


def test_no_data():
    class Empty(DataModule):
        def get_dataloader(self, train):
            return []

    with pytest.raises(ValueError, match="at least one batch, got none from Empty"):
        Counter(max_epochs=1).fit(Model(), Empty())


@pytest.fixture
def torch():
    """d2lext for PyTorch and the d2l that it replaces."""
    if "torch" not in (BACKENDS or IDS):
        pytest.skip("PyTorch is not selected")
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("d2l", reason="d2l is not installed")
    d2l = importlib.import_module("d2lext.torch")
    return d2l, importlib.import_module(d2l.Vocab.__module__)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("repeat", ((2, 3),)),
        ("reshape", ((3, -1),)),
        ("transpose", ()),
        ("swapaxes", (0, 1)),
        ("expand_dims", (1,)),
        ("size", ()),
        ("argmax", (1,)),
        ("reduce_sum", ()),
        ("reduce_mean", (0, True)),
        ("numpy", ()),
        ("to", ("cpu",)),
    ],
)
def test_a_function_does_what_it_does_in_d2l(torch, name, arguments):
    x = np.random.default_rng(0).normal(size=(2, 6))
    ours, theirs = (
        getattr(d2l, name)(d2l.tensor(x, requires_grad=True), *arguments)
        for d2l in torch
    )
    assert type(ours) is type(theirs)
    ours, theirs = (getattr(a, "detach", lambda a=a: a)() for a in (ours, theirs))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("LeNet", ()),
        ("Residual", (4,)),
        ("Residual", (8, True, 2)),
        ("ResNeXtBlock", (4, 2, 1)),
        ("ResNeXtBlock", (16, 4, 0.5, True, 2)),
    ],
)
def test_a_block_computes_what_it_does_in_d2l(torch, name, arguments):
    shape = (2, 1, 28, 28) if name == "LeNet" else (2, 4, 6, 6)
    ours, theirs = (getattr(d2l, name)(*arguments) for d2l in torch)
    X = torch[0].randn(*shape)
    ours(X)
    theirs(X)
    theirs.load_state_dict(ours.state_dict())
    assert np.array_equal(torch[0].numpy(ours(X)), torch[0].numpy(theirs(X)))


def test_corr2d(torch):
    x = torch[0].reshape(torch[0].arange(9.0), (3, 3))
    kernel = torch[0].tensor([[0.0, 1.0], [2.0, 3.0]], requires_grad=True)
    y = torch[0].corr2d(x, kernel)
    assert y.tolist() == [[19, 25], [37, 43]]  # d2l, figure 7.2.1
    y.sum().backward()
    assert kernel.grad.tolist() == [[8, 12], [20, 24]]


@pytest.mark.parametrize("name", ["LinearRegression", "LinearRegressionScratch"])
def test_the_trainer_fits_models_of_d2l_itself(monkeypatch, torch, name):
    monkeypatch.delenv("D2LEXT_FAST", raising=False)
    d2l, _ = torch
    d2l.functions.torch.manual_seed(0)
    w, b = d2l.tensor([2, -3.4]), 4.2
    data = d2l.SyntheticRegressionData(w=w, b=b, num_train=500, num_val=100)
    model = getattr(d2l, name)(*((2,) if "Scratch" in name else ()), lr=0.05)
    trainer = d2l.Trainer(max_epochs=5)
    trainer.fit(model, data)
    assert trainer.history[-1]["val_loss"] < 0.01
    weights = model.w if "Scratch" in name else model.net.weight
    assert np.allclose(d2l.numpy(weights).ravel(), [2, -3.4], atol=0.05)
