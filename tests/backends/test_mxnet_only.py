"""What MXNet's backend has alone: own arrays, waiting, its errors, Gluon's habits."""

import numpy
import pytest
from shared.frameworks import small
from shared.processes import python
from shared.random_images import Data, images

pytest.importorskip("d2lext.mxnet", exc_type=ImportError)

from mxnet import autograd, gluon, init, np, npx, optimizer
from mxnet.gluon import nn
from shared.frameworks import mxnet

from d2lext import mxnet as d2l
from d2lext.core.densenet import parity
from d2lext.core.machine import processor
from d2lext.mxnet.speed import graphs


def test_init_cnn_draws_what_a_new_network_has():
    X, new, again = np.zeros((1, 1, 32, 32)), small(d2l), small(d2l)
    again.net.initialize(init.One(), force_reinit=True)
    npx.random.seed(0)
    new(X)
    npx.random.seed(0)
    again.apply_init([X], d2l.init_cnn)
    for drawn, expected in zip(*map(mxnet.weights, (again, new)), strict=True):
        numpy.testing.assert_array_equal(drawn, expected)


def test_batch_normalization_by_arithmetic():
    X, _ = images((4, 3, 5, 5))
    [norm] = mxnet.every(d2l.ConvBlock(1), nn.BatchNorm)
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


def test_few_batches_wait(monkeypatch):
    waited = []
    monkeypatch.setattr(np.ndarray, "wait_to_read", lambda self: waited.append(self))
    trainer = d2l.Trainer(max_epochs=1)
    trainer.fit(small(d2l, lr=0.1), Data(d2l))
    assert len(waited) >= 2, "batches would pile up in memory"


def test_a_model_from_scratch():
    class Scratch(d2l.Classifier):
        def __init__(self, lr):
            super().__init__()
            self.save_hyperparameters()
            self.W = np.zeros((16 * 16, 10))
            self.W.attach_grad()

        def forward(self, X):
            return np.dot(X.reshape(len(X), -1), self.W)

    model = Scratch(lr=0.1)
    model.set_scratch_params_device(d2l.try_gpu())
    d2l.Trainer(max_epochs=1, gradient_clip_val=1).fit(model, Data(d2l))
    assert model.W.any()


THRIFTY = {"arch": (2,), "growth_rate": 4, "num_channels": 8, "memory_efficient": True}
MODELS = {
    "DenseNet": lambda: small(d2l),
    "memory_efficient": lambda: d2l.DenseNetBC(**THRIFTY),
    "create_model": lambda: d2l.create_model("densenet_bc_100_12", **THRIFTY | PLAIN),
    "LeNet": lambda: d2l.LeNet(),
}
PLAIN = {"memory_efficient": False, "in_channels": 1}


def prepared(name, stage):
    """(model, images): as it is made, after a training, or compiled as for bfloat16."""
    model = MODELS[name]()
    X, _ = images((2, 1, 28, 28) if name == "LeNet" else (2, 1, 32, 32))
    if stage == "trained":
        d2l.Trainer(max_epochs=1).fit(model, Data(d2l, X.shape[1:]))
    X = np.array(X)
    model(X)
    if stage == "in_bf16":
        model.hybridize(static_alloc=True)
        graphs.compile_faster(model, in_bf16=True)
    return model, X


@pytest.fixture(params=["new", "trained", "in_bf16"])
def stage(request):
    return request.param


@pytest.mark.filterwarnings("ignore:Cannot decide type")  # of every loaded graph
@pytest.mark.parametrize("name", MODELS)
def test_an_exported_network_computes_the_same(tmp_path, name, stage):
    model, X = prepared(name, stage)
    expected = model(X).asnumpy()
    model.export(tmp_path / "net", epoch=3)
    files = [str(tmp_path / f"net-{end}") for end in ("symbol.json", "0003.params")]
    loaded = gluon.SymbolBlock.imports(files[0], ["data"], files[1])
    for _ in ("as it is", "compiled"):
        numpy.testing.assert_allclose(loaded(X).asnumpy(), expected, atol=1e-5)
        loaded.hybridize(static_alloc=True)


def test_what_is_not_exported():
    with pytest.raises(ValueError, match="no weights before its first input"):
        small(d2l).export("net")
    model = mxnet.Regression()
    model(np.ones((2, 1)), np.ones((2, 1)))
    with pytest.raises(TypeError, match="got that of Regression .*into a HybridBlock"):
        model.export("net")


@pytest.mark.filterwarnings("ignore:register_op_hook is experimental")
@pytest.mark.parametrize("name", MODELS)
def test_hooks_on_operations(name, stage):
    """A compiled network calls them for every operation, the head's product included."""
    model, X = prepared(name, stage)
    model.hybridize()
    seen = []
    model.register_op_hook(lambda _, operation, array: seen.append(operation))
    model(X)
    npx.waitall()
    assert {b"Convolution", b"_npx_fully_connected"} & set(seen)


@pytest.mark.parametrize("name", MODELS)
def test_a_summary_counts_the_parameters(capsys, name, stage):
    model, X = prepared(name, stage)
    expected = model(X).asnumpy()
    model.summary(X)
    printed = capsys.readouterr().out
    assert f"Trainable params: {d2l.num_params(model)}\n" in printed
    numpy.testing.assert_array_equal(model(X).asnumpy(), expected)
    compiled = any(block._active for block in mxnet.every(model, gluon.HybridBlock))
    assert compiled == (stage != "new")


@pytest.mark.parametrize("name", MODELS)
def test_gluons_files_and_flags(tmp_path, name, stage):
    model, X = prepared(name, stage)
    expected = model(X).asnumpy()
    model.save_parameters(str(tmp_path / "weights.params"))
    other = MODELS[name]()
    other.load_parameters(str(tmp_path / "weights.params"))
    model.collect_params().reset_ctx(npx.cpu(0))
    flags = [
        {"static_alloc": True, "static_shape": True},
        {"inline_limit": 5, "forward_bulk_size": 3},
        {"backend": "MKLDNN"},
        {"active": False},
    ]
    for some in ({}, *flags):
        for built in (model, other):
            built.hybridize(**some)
            numpy.testing.assert_allclose(built(X).asnumpy(), expected, atol=1e-5)


def test_another_type_is_refused():
    with pytest.raises(TypeError, match="must stay float32, got float16: .*bf16"):
        small(d2l).cast("float16")
    small(d2l).cast("float32")


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
    result = python(code, PYTHONWARNINGS="error")
    assert result.returncode == 1
    assert rule in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("thrifty", [False, True])
def test_a_step_begins_with_gradients_of_zero(thrifty):
    """Also where Gluon would add them to those of earlier steps."""
    weights = []
    for req in ("write", "add"):
        options = THRIFTY | {"in_channels": 1, "memory_efficient": thrifty, "lr": 0.1}
        model = d2l.create_model("densenet_bc_100_12", **options)
        for param in model.collect_params().values():
            if param.grad_req != "null":
                param.grad_req = req
                param.grad()[:] = 1
        d2l.Trainer(2, precision="fp32").fit(model, Data(d2l, (1, 8, 8)))
        weights.append(d2l.get_weights(model))
    assert parity.difference(*weights) <= parity.TOLERANCES["gradients"]


def test_a_step_of_bare_arrays_begins_with_gradients_of_zero():
    """Otherwise the second would add those of the first."""

    class Scratch(d2l.Classifier):
        def __init__(self, req):
            super().__init__()
            self.lr, self.W = 0.1, np.zeros((64, 10))
            self.W.attach_grad(grad_req=req)

        def forward(self, X):
            return np.dot(X.reshape(len(X), -1), self.W)

    found = []
    for req in ("write", "add"):
        model = Scratch(req)
        d2l.Trainer(2).fit(model, Data(d2l, (1, 8, 8)))
        found.append(model.W.asnumpy())
    numpy.testing.assert_allclose(*found, rtol=1e-5, atol=1e-7)


@optimizer.register
class Counting(optimizer.Optimizer):
    """A reader's own, whose steps become shorter."""

    def __init__(self, **options):
        super().__init__(**options)
        self.steps = 0

    def create_state(self, index, weight):
        return None

    def update(self, index, weight, grad, state):
        self._update_count(index)
        self.steps += 1
        weight[:] -= self._get_lr(index) / self.steps * grad


@pytest.mark.usefixtures("whole_runs")
@pytest.mark.parametrize("name", ["nadam", "counting"])
def test_numbers_of_an_optimiser_are_resumed(tmp_path, name):
    """Nadam multiplies all its momenta so far."""

    class Model(mxnet.Linear):
        def configure_optimizers(self):
            options = {"learning_rate": self.lr}
            return gluon.Trainer(self.parameters(), name, options, kvstore=None)

    def trained(max_epochs, path=None):
        model = Model()
        d2l.Trainer(max_epochs, checkpoint=path).fit(model, Data(d2l))
        return mxnet.weights(model)

    whole = trained(2)
    for max_epochs in (1, 2):
        resumed = trained(max_epochs, tmp_path / "run.npz")
    for array, expected in zip(resumed, whole, strict=True):
        numpy.testing.assert_array_equal(array, expected)


class Second(mxnet.Linear):
    """With another network, which another optimiser trains, and options of the first."""

    def __init__(self, name="adam", **options):
        super().__init__()
        self.first = name, options
        self.other = nn.Dense(10, in_units=16 * 16)
        self.other.initialize()

    def training_step(self, batch):
        X, y = batch
        loss = self.loss(self.other(X), y)
        loss.backward()
        with autograd.pause():  # it changes arrays in place
            self.second.step(1)
        return super().training_step(batch)

    def configure_optimizers(self):
        params = self.other.collect_params()
        self.second = gluon.Trainer(params, "nadam", kvstore=None)
        params = self.net.collect_params()
        return gluon.Trainer(params, *self.first, kvstore=None)


@pytest.mark.usefixtures("whole_runs")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"name": "lbsgd", "momentum": 0.9, "batch_scale": 2},  # an epoch has 3 steps
        {"name": "lbsgd", "batch_scale": 4, "warmup_strategy": "power2"},
        {"name": "test"},  # which does not count its steps
    ],
)
def test_what_optimisers_keep_is_resumed(tmp_path, options):
    def trained(max_epochs, **resumed):
        model = Second(**options)
        npx.random.seed(0)
        model.other.initialize(force_reinit=True)
        d2l.Trainer(max_epochs, **resumed).fit(model, Data(d2l))
        return mxnet.weights(model)

    whole = trained(3)
    for epochs in (1, 3):
        resumed = trained(epochs, checkpoint=tmp_path / "run.npz")
    for array, expected in zip(resumed, whole, strict=True):
        numpy.testing.assert_array_equal(array, expected)


@pytest.mark.filterwarnings("ignore:.* is an unregistered container")
def test_a_parameter_that_is_not_the_models_is_not_forgotten(tmp_path):
    model = Second()
    model.nets = [model._children.pop("other")]  # Gluon does not look into lists
    rule = (
        "^a checkpoint has the .* got an optimiser of .*, which is not among them: let"
    )
    with pytest.raises(ValueError, match=rule):
        d2l.Trainer(1, checkpoint=tmp_path / "run.npz").fit(model, Data(d2l))


class Scale(nn.HybridBlock):
    alpha = 0.0

    def hybrid_forward(self, F, X):
        return X * self.alpha


@pytest.mark.usefixtures("whole_runs")
def test_a_value_of_python_that_changes_in_a_compiled_block():
    class Reads(mxnet.Linear):
        def __init__(self):
            super().__init__()
            self.scale = Scale()

        def training_step(self, batch):
            self.plot("alpha", self.scale(np.ones(1)), train=True)
            return super().training_step(batch)

    class Changes(d2l.Trainer):
        def fit_epoch(self):
            self.model.scale.alpha = 0.5 * self.epoch
            super().fit_epoch()

    trainer = Changes(max_epochs=3)
    trainer.fit(Reads(), Data(d2l))
    assert [entry["train_alpha"] for entry in trainer.history] == [0, 0.5, 1]
