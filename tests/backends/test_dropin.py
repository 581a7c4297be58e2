"""What d2l's notebooks call: functions, blocks, plots, clocks, loaders of any kind."""

import ast
import functools
import importlib
import time
import warnings

import numpy as np
import pytest
from matplotlib import pyplot as plt
from shared.selected import BACKENDS

from d2lext.core import plotting
from d2lext.core.data.datamodule import DataModule
from d2lext.core.frameworks import IDS
from d2lext.core.timing import Timer
from d2lext.core.training.trainer import Trainer


@pytest.fixture(autouse=True)
def figures(monkeypatch):
    """Drawn nowhere and closed afterwards."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    with plt.rc_context():
        yield
    plt.close("all")


@pytest.fixture(scope="module", params=BACKENDS or IDS)
def d2l(request):
    """d2lext for one framework."""
    return backend(request.param)


def backend(name):
    """d2lext for the framework `name`; skips the test where it is not installed."""
    if name not in (BACKENDS or IDS):
        pytest.skip(f"{name} is not selected")
    try:
        return importlib.import_module(f"d2lext.{name}")
    except ImportError as error:
        pytest.skip(str(error))


def name_of(d2l):
    """The framework's name."""
    return d2l.__name__.rpartition(".")[2]


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


def test_batches_are_the_frameworks_own_tensors(d2l):
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

    def find_device(self):
        return None

    def fastest(self):
        return "fp32", False

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
    d2l = backend("torch")
    pytest.importorskip("d2l", reason="d2l is not installed")
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


def public_names(path):
    """The strings in a module's `__all__`, in order, without importing it."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
            return [e.value for e in node.value.elts if isinstance(e, ast.Constant)]


@pytest.mark.parametrize("name", IDS)
def test_public_functions_are_the_same(root, name):
    package, torch = root / "d2lext" / name, root / "d2lext" / "torch"
    functions = public_names(package / "functions.py")
    assert functions == public_names(torch / "functions.py")
    assert sorted(functions) == sorted([*FUNCTIONS, *CONVENTIONS, *RANDOM, *TYPES])


rng = np.random.default_rng(0)
A, B = (rng.uniform(0.5, 2, shape).astype(np.float32) for shape in [(2, 3), (3, 4)])
As, Bs = (rng.normal(size=s).astype(np.float32) for s in [(2, 3, 4), (2, 4, 2)])

# Each with arguments that it takes in all frameworks, and the same function in NumPy.
FUNCTIONS = {
    "ones": (((2, 3),), np.ones),
    "ones_like": ((A,), np.ones_like),
    "zeros": (((2, 3),), np.zeros),
    "zeros_like": ((A,), np.zeros_like),
    "eye": ((3,), np.eye),
    "arange": ((0.0, 2.0, 0.5), np.arange),
    "linspace": ((0.0, 1.0, 5), np.linspace),
    "tensor": (([[1.0, 2.0], [3.0, 4.0]],), np.array),
    "sin": ((A,), np.sin),
    "cos": ((A,), np.cos),
    "tan": ((A,), np.tan),
    "sinh": ((A,), np.sinh),
    "cosh": ((A,), np.cosh),
    "tanh": ((A,), np.tanh),
    "exp": ((A,), np.exp),
    "log": ((A,), np.log),
    "abs": ((As,), np.abs),
    "sigmoid": ((As,), lambda x: 1 / (1 + np.exp(-x))),
    "matmul": ((A, B), np.matmul),
    "batch_matmul": ((As, Bs), np.matmul),
    "concat": (((A, A + 1), 1), np.concatenate),
    "stack": (((A, A + 1), 1), np.stack),
    "expand_dims": ((A, 1), np.expand_dims),
    "swapaxes": ((As, 0, 1), np.swapaxes),
    "reshape": ((A, (3, -1)), np.reshape),
    "transpose": ((A,), np.transpose),
    "numpy": ((A,), np.asarray),
    "size": ((A,), np.size),
    "argmax": ((A, 1), np.argmax),
    "reduce_sum": ((A, 1), np.sum),
    "reduce_mean": ((A, 0), np.mean),
}
CONVENTIONS = ("meshgrid", "repeat", "astype", "to")  # whose arguments differ
TYPES = ("int32", "int64", "float32")
RANDOM = {"rand": (0.5, 12**-0.5), "randn": (0, 1), "normal": (3, 2)}  # mean, deviation


def tensors(d2l, value):
    """`value` with the framework's tensors for NumPy's arrays."""
    if isinstance(value, tuple):
        return tuple(tensors(d2l, v) for v in value)
    return d2l.tensor(value) if isinstance(value, np.ndarray) else value


def array(d2l, value):
    """A tensor, several, or a number as NumPy's array."""
    if isinstance(value, (tuple, list)):
        return np.stack([array(d2l, v) for v in value])
    return np.asarray(
        d2l.numpy(value) if isinstance(value, tensor_type(d2l)) else value
    )


def tensor_type(d2l):
    """The class of the framework's tensors."""
    return type(d2l.ones((1,)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_does_what_numpys_does(d2l, name):
    arguments, function = FUNCTIONS[name]
    y = getattr(d2l, name)(*tensors(d2l, arguments))
    if name == "numpy":
        assert type(y) is np.ndarray
    elif name == "size":
        assert isinstance(y, (int, np.integer))
    else:
        assert isinstance(y, tensor_type(d2l))
    y, expected = array(d2l, y), np.asarray(function(*arguments))
    assert y.shape == expected.shape
    assert np.allclose(y, expected, rtol=1e-5, atol=1e-6)
    if expected.dtype.kind == "f":
        assert y.dtype == np.float32
    else:
        assert y.dtype.kind == "i"


def test_functions_with_arguments_of_the_frameworks_own(d2l):
    x, name = d2l.tensor(A), name_of(d2l)
    grid = d2l.meshgrid(x[0], x[1], indexing="ij")
    assert np.array_equal(array(d2l, grid), np.meshgrid(A[0], A[1], indexing="ij"))
    if name == "torch":
        assert np.array_equal(d2l.repeat(x, (2, 3)), np.tile(A, (2, 3)))
    else:
        assert np.array_equal(array(d2l, d2l.repeat(x, 2, 1)), A.repeat(2, axis=1))
    there = d2l.to(x, d2l.cpu())
    assert isinstance(there, tensor_type(d2l))
    assert np.array_equal(array(d2l, there), A)


@pytest.mark.parametrize("name", TYPES)
def test_types(d2l, name):
    kind, expected = getattr(d2l, name), name
    with warnings.catch_warnings():
        if name == "int64" and name_of(d2l) == "jax":  # whose integers have 32 bits
            warnings.filterwarnings("ignore", "Explicitly requested dtype int64")
            expected = "int32"
        y = d2l.astype(d2l.tensor([1.0, 2.7]), kind)
        zeros = d2l.zeros((2, 3), dtype=kind)
    assert array(d2l, zeros).dtype == array(d2l, y).dtype == expected
    assert np.allclose(array(d2l, y), np.array([1.0, 2.7]).astype(expected))


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers(d2l, name):
    shape, mean, deviation = (100, 100), *RANDOM[name]
    if name == "rand":
        arguments = (shape,) if name_of(d2l) == "tensorflow" else shape
    elif name == "randn":
        arguments = shape
    elif name_of(d2l) in ("torch", "mxnet"):
        arguments = (float(mean), float(deviation), shape)
    else:
        arguments = (shape, mean, deviation)
    y, other = (array(d2l, getattr(d2l, name)(*arguments)) for _ in range(2))
    assert (y.shape, y.dtype) == (shape, np.float32)
    assert not np.array_equal(y, other)
    # Six standard errors of 10,000 numbers.
    assert abs(y.mean() - mean) < 0.06 * deviation
    assert abs(y.std() - deviation) < 0.05 * deviation
    if name == "rand":
        assert y.min() >= 0
        assert y.max() < 1
    else:  # no uniform distribution goes beyond 1.8 deviations
        assert abs(y - mean).max() > 3 * deviation


def gradient(d2l, function, x):
    """The gradient, by `x`, of the sum of `function(x)`."""
    x = d2l.tensor(x)
    match name_of(d2l):
        case "torch":
            function(x.requires_grad_()).sum().backward()
            grad = x.grad
        case "mxnet":
            x.attach_grad()
            with importlib.import_module("mxnet").autograd.record():
                total = function(x).sum()
            total.backward()
            grad = x.grad
        case "jax":
            grad = importlib.import_module("jax").grad(lambda x: function(x).sum())(x)
        case "tensorflow":
            with importlib.import_module("tensorflow").GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            grad = tape.gradient(y, x)
    return array(d2l, grad)


@pytest.mark.parametrize("shape", [(1, 2), (2, 3), (4, 5)])
def test_corr2d(d2l, shape):
    signal = pytest.importorskip("scipy.signal", reason="SciPy is not installed")
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=s).astype(np.float32) for s in [(4, 5), shape])
    y = array(d2l, d2l.corr2d(d2l.tensor(x), d2l.tensor(kernel)))
    expected = signal.correlate2d(x, kernel, "valid")
    assert y.dtype == np.float32
    assert y.shape == expected.shape
    assert np.allclose(y, expected, rtol=1e-5, atol=1e-5)
    grad = gradient(d2l, lambda kernel: d2l.corr2d(d2l.tensor(x), kernel), kernel)
    expected = signal.correlate2d(x, np.ones(expected.shape), "valid")
    assert np.allclose(grad, expected, rtol=1e-5, atol=1e-5)


def test_corr2d_of_d2l(d2l):
    x = d2l.reshape(d2l.arange(9.0), (3, 3))
    kernel = d2l.tensor([[0.0, 1.0], [2.0, 3.0]])
    assert d2l.numpy(d2l.corr2d(x, kernel)).tolist() == [
        [19, 25],
        [37, 43],
    ]  # fig. 7.2.1


LENET = [  # d2l, section 7.6: channels, height, width; then features
    *[(1, 6, 28, 28), (1, 6, 14, 14), (1, 16, 10, 10), (1, 16, 5, 5)],
    *[(1, 400), (1, 120), (1, 84), (1, 10)],
]


def test_lenet(capsys, d2l):
    last = name_of(d2l) in ("jax", "tensorflow")  # channels last
    model = d2l.LeNet()
    model.layer_summary((1, 28, 28, 1) if last else (1, 1, 28, 28))
    lines = capsys.readouterr().out.splitlines()
    printed = [ast.literal_eval(line[line.index("(") :]) for line in lines]
    nchw = [(s[0], *s[-1:], *s[1:-1]) if last else s for s in printed]
    # Activations keep the shape; MXNet's dense layer flattens its input by itself.
    found = [s for s, before in zip(nchw, [None, *nchw], strict=False) if s != before]
    assert [s for s in LENET if s in found or s != (1, 400)] == found
    assert d2l.num_params(model) == 61_706


# What PyTorch's blocks compute, the other frameworks' must from the same weights. It is
# PyTorch's that are compared with d2l's own above.

BLOCKS = {
    "Residual": ("Residual", {"num_channels": 4}),
    "Residual, 1x1": ("Residual", {"num_channels": 8, "use_1x1conv": True}),
    "Residual, 1x1, stride 2": (
        "Residual",
        {"num_channels": 8, "use_1x1conv": True, "strides": 2},
    ),
    "ResNeXt": ("ResNeXtBlock", {"num_channels": 4, "groups": 2, "bot_mul": 1}),
    "ResNeXt, 1x1, stride 2": (
        "ResNeXtBlock",
        {
            "num_channels": 16,
            "groups": 4,
            "bot_mul": 0.5,
            "use_1x1conv": True,
            "strides": 2,
        },
    ),
}


@pytest.fixture(scope="module")
def reference():
    """PyTorch's block: its weights by name, an input, and what it makes of that."""

    @functools.cache
    def compute(case, size):
        d2l = backend("torch")
        name, options = BLOCKS[case]
        block = getattr(d2l, name)(**options)
        rng = np.random.default_rng(0)
        X = rng.normal(size=(4, 4, *size)).astype(np.float32)
        block(d2l.tensor(X))
        weights = {}
        for key, value in block.state_dict().items():
            if key.endswith("num_batches_tracked"):
                continue
            draw = rng.normal if value.ndim > 1 else functools.partial(rng.uniform, 0.5)
            weights[key] = draw(size=value.shape).astype(np.float32)
        outcomes = {}
        for training in (False, True):
            state = {k: d2l.tensor(w) for k, w in weights.items()}
            block.load_state_dict(state, strict=False)
            block.train(training)
            Y = d2l.numpy(block(d2l.tensor(X)))
            outcomes[training] = Y, means(block.state_dict())
        return weights, X, outcomes

    return compute


def means(state):
    """Copies of the running means in a dictionary of PyTorch's names."""
    keys = [key for key in state if key.endswith("running_mean")]
    return {key: np.asarray(state[key]).copy() for key in keys}


# What other frameworks call the tensors of a convolution and of batch normalization.
TENSORS = ("weight", "bias", "running_mean", "running_var")
NAMES = {
    "mxnet": (TENSORS[:2], ("gamma", "beta", "running_mean", "running_var")),
    "jax": (("kernel", "bias"), ("scale", "bias", "mean", "var")),
    "tensorflow": (
        ("kernel", "bias"),
        ("gamma", "beta", "moving_mean", "moving_variance"),
    ),
}


def renamed(backend, key):
    """The layer and its tensor for a name of PyTorch's such as "bn1.weight"."""
    layer, tensor = key.split(".")
    return layer, NAMES[backend]["bn" in layer][TENSORS.index(tensor)]


def compute_mxnet(make, options, weights, X, training):
    """The block's output, and its running means, from PyTorch's weights and for X."""
    mxnet = importlib.import_module("mxnet")
    block, X = make(**options), mxnet.np.array(X)
    block.initialize()
    block(X)
    parameters = {}
    for key, value in weights.items():
        layer, name = renamed("mxnet", key)
        parameters[key] = getattr(getattr(block, layer), name)
        parameters[key].set_data(mxnet.np.array(value))
    with mxnet.autograd.record(train_mode=training):
        Y = block(X)
    if training:
        Y.backward()  # only then does MXNet move the running statistics
    return Y.asnumpy(), means({k: p.data().asnumpy() for k, p in parameters.items()})


def compute_jax(make, options, weights, X, training):
    """As `compute_mxnet`, in JAX."""
    if "strides" in options:
        options = options | {"strides": (options["strides"],) * 2}
    block = make(**options, training=training)
    variables = {"params": {}, "batch_stats": {}}
    for key, value in weights.items():
        layer, name = renamed("jax", key)
        collection = "batch_stats" if "running" in key else "params"
        variables[collection].setdefault(layer, {})[name] = hwio(value)
    apply = functools.partial(block.apply, mutable=["batch_stats"])
    quickly = {"xla_backend_optimization_level": 0}
    apply = importlib.import_module("jax").jit(apply, compiler_options=quickly)
    Y, updated = apply(variables, np.moveaxis(X, 1, -1))
    statistics = {}
    for key in means(weights):
        layer, name = renamed("jax", key)
        statistics[key] = updated["batch_stats"][layer][name]
    return np.moveaxis(Y, -1, 1), means(statistics)


def compute_tensorflow(make, options, weights, X, training):
    """As `compute_mxnet`, in TensorFlow."""
    block, X = make(**options), np.moveaxis(X, 1, -1)
    block(X)
    variables = {}
    for key, value in weights.items():
        layer, name = renamed("tensorflow", key)
        variables[key] = getattr(getattr(block, layer), name)
        variables[key].assign(hwio(value))
    Y = block(X, training=training)
    return np.moveaxis(Y, -1, 1), means(variables)


def hwio(weights):
    """A kernel (out, in, height, width) with its channels last; others as they are."""
    return np.moveaxis(weights, (1, 0), (-2, -1)) if weights.ndim == 4 else weights


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
@pytest.mark.parametrize("case", BLOCKS)
@pytest.mark.parametrize("name", [n for n in NAMES if n in (BACKENDS or IDS)])
def test_a_block_computes_what_it_does_in_pytorch(
    reference, name, case, size, training
):
    d2l = backend(name)
    weights, X, outcomes = reference(case, size)
    block, options = BLOCKS[case]
    compute = globals()[f"compute_{name}"]
    Y, statistics = compute(getattr(d2l, block), options, weights, X, training)
    expected, expected_statistics = outcomes[training]
    assert Y.shape == expected.shape
    assert np.allclose(Y, expected, rtol=1e-4, atol=1e-4)
    assert statistics.keys() == expected_statistics.keys()
    for key, mean in expected_statistics.items():
        assert np.allclose(statistics[key], mean, rtol=1e-4, atol=1e-5)
        assert np.array_equal(mean, weights[key]) is not training


# What one framework has alone.


class Images(DataModule):
    """One batch of four images (n, h, w, c) in the framework's tensors, to train on."""

    def __init__(self, d2l):
        super().__init__()
        rng = np.random.default_rng(0)
        X = rng.normal(size=(4, 5, 5, 1)).astype(np.float32)
        self.batch = d2l.tensor(X), d2l.tensor(np.arange(4, dtype=np.int32))

    def get_dataloader(self, train):
        return [self.batch] if train else None


@pytest.fixture
def whole_runs(monkeypatch):
    """Training as long as a test says, whatever the environment asks for."""
    monkeypatch.delenv("D2LEXT_FAST", raising=False)
    monkeypatch.delenv("D2LEXT_EPOCHS", raising=False)


def test_weights_follow_the_key_in_jax(whole_runs):
    d2l = backend("jax")
    jax, linen = map(importlib.import_module, ("jax", "flax.linen"))

    class Linear(d2l.Classifier):
        lr: float = 0.0  # the weights stay what they are at first

        def setup(self):
            self.own = linen.Dense(8, kernel_init=d2l.init_cnn)
            self.flaxs = linen.Dense(10)

        def forward(self, X):
            return self.flaxs(self.own(X.reshape(len(X), -1)))

    def kernels(seed, **options):
        model = Linear()
        d2l.Trainer(max_epochs=1, seed=seed).fit(model, Images(d2l), **options)
        return [np.array(w) for w in jax.tree.leaves(model.variables) if w.ndim == 2]

    def same(a, b):
        return [np.array_equal(*pair) for pair in zip(a, b, strict=True)]

    five = kernels(0, key=jax.random.key(5))
    assert same(five, kernels(1, key=jax.random.key(5))) == [True, True]
    assert same(five, kernels(0, key=jax.random.key(6))) == [False, False]


@pytest.fixture
def own_weights():
    """A classifier for TensorFlow whose one parameter is the attribute `W`.

    Its `place` is the device of the last forward pass, by TensorFlow's name.
    """
    d2l = backend("tensorflow")
    context = importlib.import_module("tensorflow.python.eager.context").context

    class OwnWeights(d2l.Classifier):
        lr = 0.1

        def __init__(self, make):
            super().__init__()
            self.W = make(d2l.zeros((25, 10)))

        def forward(self, X):
            self.place = context().device_name
            return d2l.matmul(d2l.reshape(X, (-1, 25)), self.W)

    return d2l, OwnWeights


def test_a_variable_that_keras_does_not_train_is_refused(whole_runs, own_weights):
    d2l, OwnWeights = own_weights
    tensorflow, keras = map(importlib.import_module, ("tensorflow", "keras"))
    trainer = d2l.Trainer(max_epochs=1)
    with pytest.raises(
        ValueError, match=r"tf.Variable as OwnWeights.W: make it with keras.Variable"
    ):
        trainer.fit(OwnWeights(tensorflow.Variable), Images(d2l))
    model = OwnWeights(keras.Variable)  # the remedy
    trainer.fit(model, Images(d2l))
    assert array(d2l, model.W.value).any()


def test_training_within_a_device_of_tensorflow(monkeypatch, whole_runs, own_weights):
    d2l, OwnWeights = own_weights
    keras = importlib.import_module("keras")
    # Where there is no GPU, TensorFlow computes on the CPU by the GPU's name.
    monkeypatch.setattr(d2l.device._devices, "num_gpus", lambda: 1)
    with d2l.try_gpu():
        model = OwnWeights(keras.Variable)
        trainer = d2l.Trainer(max_epochs=1)
        trainer.fit(model, Images(d2l))
    assert model.place.endswith("GPU:0")
    assert array(d2l, model.W.value).any()
    trainer.fit(OwnWeights(keras.Variable), Images(d2l))
    assert trainer.model.place.endswith("CPU:0")
