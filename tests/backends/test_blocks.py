"""The blocks of d2l's chapters: what SciPy, d2l's figures and PyTorch compute."""

import ast
import functools
import importlib

import numpy as np
import pytest
from shared import frameworks
from shared.selected import d2l_or_skip, in_backends


@pytest.mark.parametrize("shape", [(1, 2), (2, 3), (4, 5)])
def test_corr2d(d2l, framework, shape):
    signal = pytest.importorskip("scipy.signal", reason="SciPy is not installed")
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=s).astype(np.float32) for s in [(4, 5), shape])
    y = d2l.numpy(d2l.corr2d(d2l.tensor(x), d2l.tensor(kernel)))
    expected = signal.correlate2d(x, kernel, "valid")
    assert y.dtype == np.float32
    assert y.shape == expected.shape
    assert np.allclose(y, expected, rtol=1e-5, atol=1e-5)
    grad = framework.gradient(lambda kernel: d2l.corr2d(d2l.tensor(x), kernel), kernel)
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
    model = d2l.LeNet()
    model.layer_summary(frameworks.native(d2l, (1, 1, 28, 28)))
    lines = capsys.readouterr().out.splitlines()
    printed = [ast.literal_eval(line[line.index("(") :]) for line in lines]
    last = frameworks.is_channels_last(d2l)
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
        d2l = d2l_or_skip("torch")
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
    apply = importlib.import_module("jax").jit(apply)
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


@in_backends(*NAMES)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
@pytest.mark.parametrize("case", BLOCKS)
def test_a_block_computes_what_it_does_in_pytorch(
    reference, d2l, backend, case, size, training
):
    weights, X, outcomes = reference(case, size)
    block, options = BLOCKS[case]
    compute = globals()[f"compute_{backend}"]
    Y, statistics = compute(getattr(d2l, block), options, weights, X, training)
    expected, expected_statistics = outcomes[training]
    assert Y.shape == expected.shape
    assert np.allclose(Y, expected, rtol=1e-4, atol=1e-4)
    assert statistics.keys() == expected_statistics.keys()
    for key, mean in expected_statistics.items():
        assert np.allclose(statistics[key], mean, rtol=1e-4, atol=1e-5)
        assert np.array_equal(mean, weights[key]) is not training
