"""What MXNet's backend has alone: own arrays, waiting, its errors, its precision."""

import numpy
import pytest
from shared.frameworks import small
from shared.processes import python
from shared.random_images import Data, images

pytest.importorskip("d2lext.mxnet", exc_type=ImportError)

from mxnet import autograd, init, np, npx
from mxnet.gluon import nn
from shared.frameworks import mxnet

from d2lext import mxnet as d2l
from d2lext.core.machine import processor


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
