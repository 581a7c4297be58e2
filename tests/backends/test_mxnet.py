"""The MXNet backend and the chapter's network in it."""

import copy
import importlib.util
import json
import math
import subprocess
import sys
from collections import Counter

import numpy
import pytest

if importlib.util.find_spec("mxnet") is None:
    pytest.skip("MXNet is not installed", allow_module_level=True)

from d2lext import mxnet as d2l  # noqa: I001  before mxnet
from mxnet import autograd, gluon, init, np, npx, sym
from mxnet.contrib.amp.amp import bfloat16
from mxnet.gluon import nn

from d2lext.core.machine import processor
from d2lext.core.densenet import parity
from d2lext.mxnet.speed import graphs


class Toy(d2l.DataModule):
    """Random images of 32x32 pixels; the last batch is smaller."""

    def __init__(self, num_batches=2, batch_size=8):
        super().__init__()
        self.save_hyperparameters()

    def get_dataloader(self, train):
        sizes = [self.batch_size] * (self.num_batches - 1) + [3]
        return [batch(size, seed=i + int(train)) for i, size in enumerate(sizes)]


def batch(size, seed=0):
    generator = numpy.random.default_rng(seed)
    X = generator.random((size, 1, 32, 32), dtype=numpy.float32)
    return np.array(X), np.array(generator.integers(10, size=size), dtype=np.int32)


def small(**kwargs):
    return d2l.DenseNet(num_channels=8, growth_rate=4, arch=(2, 2, 2, 2), **kwargs)


def built(**kwargs):
    npx.random.seed(0)
    model = small(**kwargs)
    model(np.zeros((1, 1, 32, 32)))
    return model


def fitted(seed=0, **kwargs):
    model = small(**{"lr": 0.1, **kwargs})
    trainer = d2l.Trainer(max_epochs=1, seed=seed)
    trainer.fit(model, Toy())
    return model, trainer


def layers(block, kind):
    """The layers of a `kind` in a block, in order."""
    found = []
    block.apply(lambda child: found.append(child) if isinstance(child, kind) else None)
    return found


def weights(model):
    """All parameters, moving statistics included, as NumPy arrays in order."""
    return [p.data().asnumpy() for p in model.collect_params().values()]


def gradients(model):
    params = model.collect_params().values()
    return [p.grad().asnumpy() for p in params if p.grad_req != "null"]


def test_growth():
    X = np.random.rand(4, 3, 8, 8)
    blocks = [d2l.DenseBlock(2, 10), d2l.ConvBlock(10), d2l.TransitionBlock(10)]
    for block in blocks:
        block.initialize()
    Y = blocks[0](X)
    assert Y.shape == (4, 23, 8, 8)
    assert (Y[:, :3] == X).all(), "the input comes first, unaltered"
    assert blocks[1](X).shape == (4, 10, 8, 8), "new features alone"
    assert blocks[2](Y).shape == (4, 10, 4, 4)


def test_parameters():
    model = d2l.DenseNet()
    with pytest.raises(ValueError, match="no parameters before its first input: call"):
        d2l.num_params(model)
    model(np.zeros((2, 1, 32, 32)))
    assert d2l.num_params(model) == 758_226


def test_channels_accumulate():
    model = d2l.DenseNet()
    model(np.zeros((2, 1, 32, 32)))
    shapes = [conv.weight.shape for conv in layers(model, nn.Conv2D)]
    assert [shape[0] for shape in shapes if shape[2:] == (1, 1)] == [96, 112, 120]
    [dense] = layers(model, nn.Dense)
    assert dense.weight.shape == (10, 248)


def test_layer_summary_changes_nothing(capsys):
    model = small()
    model.layer_summary((1, 1, 96, 96))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["Conv2D", "(1,", "8,", "48,", "48)"]
    assert lines[4].split() == ["DenseBlock", "(1,", "16,", "24,", "24)"]
    assert lines[-1].split() == ["Dense", "(1,", "10)"]
    for norm in layers(model, nn.BatchNorm):
        assert not norm.running_mean.data().any()


def test_padding_is_explicit_and_symmetric():
    conv, _, _, pool = d2l.DenseNet().stem()
    assert (conv._kwargs["pad"], pool._kwargs["pad"]) == ((3, 3), (1, 1))
    conv.initialize(init.One())
    Y = conv(np.ones((1, 1, 96, 96)))[0, 0].asnumpy()
    # 7x7 ones on an image of ones count its pixels; 3 of 7 lie outside at the top
    # and left, 2 at the bottom and right.
    assert (Y[0, 0], Y[0, 1], Y[-1, -1], Y[1, -2]) == (16, 24, 25, 42)


def test_initialisation_is_xavier_although_layers_are_deferred():
    model = built()
    found = layers(model, (nn.Conv2D, nn.Dense))
    assert len(found) == 1 + 8 + 3 + 1
    for layer in found:
        weight = layer.weight.data().asnumpy()
        receptive = math.prod(weight.shape[2:])
        bound = math.sqrt(6 / (receptive * (weight.shape[0] + weight.shape[1])))
        assert abs(weight).max() <= bound
        if weight.size > 100:
            assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.2)
        assert not layer.bias.data().any()


def test_init_cnn_does_the_same_by_apply():
    npx.random.seed(0)
    model = small()
    model.net.initialize(init.One(), force_reinit=True)
    model.apply_init([np.zeros((1, 1, 32, 32))], d2l.init_cnn)
    for got, expected in zip(weights(model), weights(built()), strict=True):
        numpy.testing.assert_array_equal(got, expected)


def test_batch_normalization_trains_with_the_stated_numbers():
    model, _ = fitted()
    norms = layers(model, nn.BatchNorm)
    assert len(norms) == 1 + 8 + 3 + 1
    for norm in norms:
        assert (norm._kwargs["eps"], norm._kwargs["momentum"]) == (1e-5, 0.9)
        assert norm.running_mean.data().any()
    X, _ = batch(4)
    with autograd.train_mode():
        in_training = model(X)
    assert abs(model(X) - in_training).max() > 1e-3


def test_batch_normalization_by_arithmetic():
    X = numpy.random.default_rng(0).random((4, 3, 5, 5), dtype=numpy.float32)
    [norm] = layers(d2l.ConvBlock(1), nn.BatchNorm)
    norm.initialize()
    with autograd.record():
        Y = norm(np.array(X))
    Y.backward()  # only then does MXNet move its statistics
    mean, variance = X.mean((0, 2, 3)), X.var((0, 2, 3))
    expected = (X - mean[:, None, None]) / numpy.sqrt(variance + 1e-5)[:, None, None]
    numpy.testing.assert_allclose(Y.asnumpy(), expected, atol=1e-5)
    moving = norm.running_mean.data().asnumpy(), norm.running_var.data().asnumpy()
    numpy.testing.assert_allclose(moving[0], 0.1 * mean, rtol=1e-5)
    numpy.testing.assert_allclose(moving[1], 0.9 + 0.1 * variance, rtol=1e-5)


def test_every_parameter_learns():
    model = built()
    X, y = batch(4)
    with autograd.record():
        loss = model.loss(model(X), y)
    loss.backward()
    assert all(grad.any() for grad in gradients(model))


def test_equal_seeds_give_equal_runs():
    first, trainer = fitted()
    np.random.rand(7)  # whatever comes between
    second, again = fitted()
    for got, expected in zip(weights(second), weights(first), strict=True):
        numpy.testing.assert_array_equal(got, expected)
    other, _ = fitted(seed=1)
    assert any(
        (a != b).any() for a, b in zip(weights(first), weights(other), strict=True)
    )
    losses = [t.history[0]["train_loss"] for t in (trainer, again)]
    assert losses[0] == losses[1]


def test_equal_seeds_give_equal_initial_weights():
    first, second = (fitted(lr=0)[0] for _ in range(2))
    assert (layers(first, nn.Dense)[0].weight.data() != 0).any()
    for got, expected in zip(gradient_free(first), gradient_free(second), strict=True):
        numpy.testing.assert_array_equal(got, expected)


def gradient_free(model):
    """The weights of the convolutions and of the head."""
    found = layers(model, (nn.Conv2D, nn.Dense))
    return [layer.weight.data().asnumpy() for layer in found]


@pytest.mark.parametrize("sizes", [(4, 4), (4, 3, 4)])
def test_compiled_is_not_compiled(sizes):
    """Outputs, gradients and moving statistics, with batches that change their size."""
    plain, compiled = built(), built()
    d2l.Trainer(max_epochs=1).prepare_model(compiled)
    optimizers = [model.configure_optimizers() for model in (plain, compiled)]
    outputs = {plain: [], compiled: []}
    for seed, size in enumerate(sizes):
        X, y = batch(size, seed)
        for model, optimizer in zip((plain, compiled), optimizers, strict=True):
            with autograd.record():
                Y_hat = model(X)
                loss = model.loss(Y_hat, y)
            loss.backward()
            optimizer.step(1)
            # Kept, not read: a buffer that is used again would show below.
            outputs[model] += [Y_hat, model(X)]
    for got, expected in zip(outputs[compiled], outputs[plain], strict=True):
        numpy.testing.assert_allclose(
            got.asnumpy(), expected.asnumpy(), rtol=1e-3, atol=1e-4
        )
    for kind in (weights, gradients):
        for got, expected in zip(kind(compiled), kind(plain), strict=True):
            numpy.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_modes_do_not_mix():
    """Python goes on while MXNet computes: a mode must stay with its own step."""
    model = built(lr=0.1)
    d2l.Trainer(max_epochs=1).prepare_model(model)
    X, _ = batch(64)
    for _ in range(20):
        with autograd.train_mode():
            in_training = model(X)
        in_evaluation = model(X)
        assert abs(in_training - in_evaluation).max() > 1e-3


def test_fit_compiles_the_network_as_one():
    model, _ = fitted()
    assert model.net._cached_op is not None
    assert all(child._cached_op is None for child in model.net)


def test_history_and_what_is_printed(capsys):
    model, trainer = fitted()
    [entry] = trainer.history
    assert set(entry) == {
        "epoch",
        "train_loss",
        "val_loss",
        "val_acc",
        "train_seconds",
        "val_seconds",
    }
    losses = [(model.loss(model(X), y), len(y)) for X, y in Toy().val_dataloader()]
    mean = sum(float(loss) * n for loss, n in losses) / sum(n for _, n in losses)
    assert entry["val_loss"] == pytest.approx(mean, rel=1e-4)
    said = capsys.readouterr().out
    for part in (
        "D2LEXT_FAST",
        "CPU",
        "seed 0",
        f"{trainer.used_precision} (auto), compiled",
        "mxnet 1.9.1",
    ):
        assert part in said


def test_few_batches_wait(monkeypatch):
    waited = []
    monkeypatch.setattr(np.ndarray, "wait_to_read", lambda self: waited.append(self))
    trainer = d2l.Trainer(max_epochs=1)
    trainer.fit(small(lr=0.1), Toy())
    assert len(waited) >= 2, "batches would pile up in memory"


def test_a_model_of_ones_own():
    class Softmax(d2l.Classifier):
        def __init__(self, lr):
            super().__init__()
            self.save_hyperparameters()
            self.net = nn.Sequential()  # cannot be compiled as a whole
            self.net.add(nn.Flatten(), nn.Dense(10))
            self.net.initialize()

        def training_step(self, batch):
            l = 2 * self.loss(self(*batch[:-1]), batch[-1])
            self.plot("double", l, train=True)
            return l

        def configure_optimizers(self):
            return gluon.Trainer(self.parameters(), "adam", kvstore=None)

    trainer = d2l.Trainer(max_epochs=1, num_gpus=1, gradient_clip_val=1)
    trainer.fit(Softmax(lr=0.1), Toy())  # without a warning that nobody asked for
    assert trainer.history[0]["train_double"] > 0


def test_a_model_from_scratch():
    class Scratch(d2l.Classifier):
        def __init__(self, lr):
            super().__init__()
            self.save_hyperparameters()
            self.W = np.zeros((32 * 32, 10))
            self.W.attach_grad()

        def forward(self, X):
            return np.dot(X.reshape(len(X), -1), self.W)

    model = Scratch(lr=0.1)
    model.set_scratch_params_device(d2l.try_gpu())
    d2l.Trainer(max_epochs=1, gradient_clip_val=1).fit(model, Toy())
    assert model.W.any()


def test_training_overfits_one_batch():
    model = built(lr=0.1)
    X, y = batch(16)
    optimizer = model.configure_optimizers()
    losses = []
    for _ in range(20):
        with autograd.record():
            loss = model.loss(model(X), y)
        loss.backward()
        optimizer.step(1)
        losses.append(float(loss))
    assert losses[-1] < 0.9 * losses[0]


def test_loss_and_accuracy_by_arithmetic():
    model = small()
    Y_hat, y = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]), np.array([0, 1, 1])
    expected = numpy.log1p(numpy.exp([-2.0, -1.0, 3.0]))
    got = model.loss(Y_hat, y, averaged=False).asnumpy()
    numpy.testing.assert_allclose(got, expected, rtol=1e-4)
    assert float(model.loss(Y_hat, y)) == pytest.approx(expected.mean(), rel=1e-4)
    assert model.accuracy(Y_hat, y, averaged=False).tolist() == [1, 1, 0]
    assert float(model.accuracy(Y_hat, y)) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"growth_rate": 0}, "growth_rate must be an integer >= 1, got 0"),
        ({"arch": ()}, "arch must hold at least one integer"),
        ({"num_channels": -1}, "num_channels must be an integer >= 1, got -1"),
    ],
)
def test_bad_hyperparameters(kwargs, message):
    with pytest.raises(ValueError, match=message):
        d2l.DenseNet(**kwargs)


def test_an_image_that_is_too_small():
    model = small()
    with pytest.raises(ValueError, match="at least 29x29 pixels, got 28x28"):
        model(np.zeros((2, 1, 28, 28)))
    assert model(np.zeros((2, 1, 29, 29))).shape == (2, 10)


@pytest.mark.parametrize(("limit", "norm"), [(0.5, 0.5), (1e6, None)])
def test_clipping(limit, norm):
    model = built()
    X, y = batch(4)
    with autograd.record():
        loss = 1000 * model.loss(model(X), y)
    loss.backward()
    before = joint_norm(model)
    d2l.Trainer(max_epochs=1).clip_gradients(limit, model)
    assert joint_norm(model) == pytest.approx(norm or before, rel=1e-3)


def joint_norm(model):
    return math.sqrt(sum((grad**2).sum() for grad in gradients(model)))


def test_batches_of_garments():
    data = d2l.FashionMNIST(batch_size=8, num_train=16, num_val=8)
    X, y = next(iter(data.train_dataloader()))
    assert (X.shape, X.dtype, y.shape, y.dtype) == (
        (8, 1, 28, 28),
        np.float32,
        (8,),
        np.int32,
    )
    assert 0 <= float(X.min()) < float(X.max()) <= 1
    axes = data.visualize([X, y])
    assert axes.flatten()[0].get_title() in data.text_labels(range(10))


@pytest.mark.parametrize(
    ("prelude", "rule"),
    [
        (
            "platform.machine = lambda: 'aarch64'",
            "MXNet runs only on Linux and macOS on",
        ),
        ("", "Install it: python build.py setup --backend mxnet"),
    ],
)
def test_where_there_is_no_mxnet(prelude, rule):
    code = (
        f"import platform, sys\n{prelude}\n"
        "sys.modules['mxnet'] = None\nimport d2lext.mxnet"
    )
    result = run(code)
    assert result.returncode == 1
    assert rule in result.stderr.splitlines()[-1]


def test_a_process_that_trains_prints_nothing_and_ends_well():
    result = run(
        "from d2lext import mxnet as d2l\n"
        "from mxnet import autograd, np\n"
        "model = d2l.DenseNet(8, 4, (1, 1))\n"
        "model.hybridize(static_alloc=True)\n"
        "with autograd.record():\n"
        "    loss = model.loss(model(np.zeros((2, 1, 16, 16))), np.array([0, 1]))\n"
        "loss.backward()\n"
        "model.configure_optimizers().step(1)"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_compiled_graph_computes_the_same():
    """Concatenations of whole blocks of channels are oneDNN's; no copies are left."""
    # Few pixels: where a number in front of a ReLU rounds to the other side of zero, the
    # gradients differ by a whole pixel's.
    rng = numpy.random.default_rng(0)
    X = rng.random((4, 3, 8, 8), dtype=numpy.float32)
    y = numpy.array([1, 2, 3, 4])
    for growth_rate, expected in [(16, (2, 0)), (12, (0, 2))]:
        options = {"arch": (2,), "growth_rate": growth_rate, "num_channels": 32}
        model = d2l.create_model("densenet_bc_100_12", **options, num_classes=10)
        plain = d2l.examine(model, X, y)
        model.hybridize(static_alloc=True)
        graphs.compile_faster(model)
        compiled = d2l.examine(model, X, y)
        graph = model.net._cached_graph[1].tojson()
        counts = [graph.count(f'"{op}"') for op in ("Concat", "_npi_concatenate")]
        assert (tuple(counts), graph.count("copy")) == (expected, 0)
        for what, found in parity.compare(compiled, plain).items():
            assert found <= parity.TOLERANCES[what], what


def test_faster_graph_moves_with_a_copy():
    model = small()
    graphs.compile_faster(model)
    moved = copy.deepcopy(model)
    assert moved.net._build_cache.__self__ is moved.net


def test_bf16_is_between_convolutions_of_whole_blocks_of_channels():
    """The operations whose outputs are bfloat16 by MXNet's own inference."""
    model = d2l.create_model("densenet_d2l", arch=(2, 1), growth_rate=16)
    traced = model.net(sym.var("data").as_np_ndarray())
    graph = graphs.faster(traced, in_bf16=True, data=(8, 1, 32, 32))
    everything = graph.tojson(remove_amp_cast=False)
    operations = {n["name"]: n["op"] for n in json.loads(everything)["nodes"]}
    parts = graph.get_internals()
    _, dtypes, _ = parts.infer_type(data=numpy.float32)
    types = {}
    for part, dtype in zip(parts, dtypes, strict=True):
        types.setdefault(part.name, dtype)  # the first output is the data
    counts = Counter(operations[n] for n, dtype in types.items() if dtype == bfloat16)
    del counts["amp_cast"]
    # The stem's convolution has one input channel: it is float32, as is what follows up
    # to the pooling. So is the head from its pooling on.
    assert counts == {
        "Convolution": 2 + 1 + 1,
        "BatchNorm": 2 + 1 + 1 + 1,
        "Activation": 2 + 1 + 1 + 1,
        "Concat": 3,
        "Pooling": 2,
    }


GRADIENTS = """
import numpy
from d2lext import mxnet as d2l
from d2lext.mxnet import graphs

rng = numpy.random.default_rng(0)
X, y = rng.random((8, 1, 32, 32), dtype=numpy.float32), numpy.arange(8)
for memory_efficient in (False, True):
    options = {"num_classes": 8, "in_channels": 1, "memory_efficient": memory_efficient}
    models = [
        d2l.create_model(
            "densenet_bc_100_12", arch=(3,), growth_rate=16, num_channels=16, **options
        )
        for _ in range(2)
    ]
    if not memory_efficient:
        models[0].hybridize(static_alloc=True)
    graphs.compile_faster(models[0], in_bf16=True)
    found, expected = (d2l.examine(model, X, y).gradients for model in models)
    norm = numpy.linalg.norm
    errors = [norm(found[name] - g) / norm(g) for name, g in expected.items()]
    print(numpy.median(errors), max(errors))
"""


@pytest.mark.skipif(not processor.has_bfloat16(), reason="no processor for bf16")
def test_gradients_in_bf16_are_right_to_its_rounding():
    """In a process of its own: MXNet reads how to add them at its first gradient.

    PyTorch's own bfloat16 lies as far from float32 here, a tenth and more: what rounds to
    the other side of a ReLU changes a whole gradient.
    """
    result = run(GRADIENTS)
    assert (result.returncode, result.stderr) == (0, "")
    for line in result.stdout.splitlines():
        median, largest = map(float, line.split())
        assert 0.01 < median < 0.2, "float32, or wrong"
        assert largest < 0.3


@pytest.mark.parametrize(
    ("options", "flags"),
    [({"compile": False}, "avx512_bf16"), ({}, "avx2")],
)
def test_bf16_needs_compilation_and_a_processor_for_it(monkeypatch, options, flags):
    monkeypatch.setattr(processor, "_cpuinfo", lambda field: flags)
    trainer = d2l.Trainer(max_epochs=1, **options)
    assert trainer.used_precision == "fp32"
    with pytest.raises(ValueError, match="'bf16' needs a CPU that multiplies bfloat16"):
        d2l.Trainer(max_epochs=1, precision="bf16", **options)


def run(code):
    """What Python says to `code`, where any warning is an error."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True)
