"""The backend for TensorFlow: its layers, its trainer, and the chapter's network."""

import importlib
import math
import os
import random
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from shared import random_images

from d2lext.core.machine.quiet import quiet_stderr

if find_spec("tensorflow") is None:
    pytest.skip(
        "TensorFlow is missing: python build.py setup --backend tensorflow",
        allow_module_level=True,
    )

from d2lext import tensorflow as d2l  # isort: skip
import keras
import tensorflow as tf
from keras import layers

from d2lext.tensorflow.module import flatten


class Data(random_images.Data):
    to_tensor = staticmethod(tf.constant)


class Linear(d2l.Classifier):
    """One dense layer; `before` are layers in front of it."""

    def __init__(self, *before, lr=0.1):
        super().__init__()
        self.lr = lr
        self.net = keras.Sequential([*before, layers.Flatten(), layers.Dense(10)])


def small(lr=0.1):
    return d2l.DenseNet(num_channels=8, growth_rate=4, arch=(2, 2), lr=lr)


def fit(model, data=None, max_epochs=1, **kwargs):
    trainer = d2l.Trainer(max_epochs=max_epochs, **kwargs)
    trainer.fit(model, data or Data())
    return trainer


def weights(model):
    return [v.numpy() for v in model.trainable_variables]


def same(a, b):
    return all(np.array_equal(v, w) for v, w in zip(a, b, strict=True))


@pytest.fixture(autouse=True)
def whole_runs(monkeypatch):
    """Training as long as a test says, whatever the environment asks for."""
    monkeypatch.delenv("D2LEXT_FAST", raising=False)
    monkeypatch.delenv("D2LEXT_EPOCHS", raising=False)


@pytest.fixture(scope="module")
def densenet():
    """The chapter's network, built."""
    model = d2l.DenseNet()
    model(tf.zeros((1, 96, 96, 1)))
    return model


# The chapter's network.


def test_dense_and_transition_block():
    Y = d2l.DenseBlock(2, 10)(tf.random.normal((4, 8, 8, 3)))
    assert Y.shape == (4, 8, 8, 23)
    assert d2l.TransitionBlock(10)(Y).shape == (4, 4, 4, 10)


def test_conv_block_returns_the_new_features_alone():
    assert d2l.ConvBlock(10)(tf.zeros((4, 8, 8, 3))).shape == (4, 8, 8, 10)


def test_dense_block_keeps_its_input_in_front():
    X = tf.random.normal((2, 4, 4, 3))
    assert np.array_equal(d2l.DenseBlock(2, 5)(X)[..., :3], X)


def test_layer_summary(capsys):
    model = d2l.DenseNet()
    model.layer_summary((1, 96, 96, 1))
    lines = capsys.readouterr().out.splitlines()
    assert [tuple(line.split(maxsplit=1)) for line in lines] == [
        ("ZeroPadding2D", "(1, 102, 102, 1)"),
        ("Conv2D", "(1, 48, 48, 64)"),
        ("BatchNormalization", "(1, 48, 48, 64)"),
        ("ReLU", "(1, 48, 48, 64)"),
        ("ZeroPadding2D", "(1, 50, 50, 64)"),
        ("MaxPooling2D", "(1, 24, 24, 64)"),
        ("DenseBlock", "(1, 24, 24, 192)"),
        ("TransitionBlock", "(1, 12, 12, 96)"),
        ("DenseBlock", "(1, 12, 12, 224)"),
        ("TransitionBlock", "(1, 6, 6, 112)"),
        ("DenseBlock", "(1, 6, 6, 240)"),
        ("TransitionBlock", "(1, 3, 3, 120)"),
        ("DenseBlock", "(1, 3, 3, 248)"),
        ("BatchNormalization", "(1, 3, 3, 248)"),
        ("ReLU", "(1, 3, 3, 248)"),
        ("GlobalAveragePooling2D", "(1, 248)"),
        ("Dense", "(1, 10)"),
    ]
    assert d2l.num_params(model) == 758_226  # its layers are built now


def test_num_params(densenet):
    assert d2l.num_params(densenet) == 758_226


def test_num_params_of_an_unbuilt_model():
    with pytest.raises(ValueError, match="call it on a batch"):
        d2l.num_params(d2l.DenseNet())


def test_padding_of_the_stem():
    # A kernel that copies the pixel at its centre shows where the windows lie. With
    # 3 pixels of padding before stride 2, and 1 before the pool, the corner of the
    # first window of the pool is pixel (2, 2); "same" would give another one.
    stem = keras.Sequential(d2l.DenseNet(num_channels=1).net.layers[:6])
    X = np.arange(1, 96 * 96 + 1, dtype=np.float32).reshape(1, 96, 96, 1)
    stem(X)
    [conv] = [x for x in stem.layers if isinstance(x, layers.Conv2D)]
    conv.kernel.assign(np.eye(49)[24].reshape(7, 7, 1, 1))
    expected = X[:, 2::4, 2::4] / math.sqrt(1 + 1e-5)
    np.testing.assert_allclose(stem(X), expected, rtol=1e-6)


def test_batch_norm_spelled_out(densenet):
    norms = [x for x in flatten(densenet) if isinstance(x, layers.BatchNormalization)]
    assert len(norms) == 1 + 16 + 3 + 1
    assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.9, 1e-5)}


def test_xavier_uniform_weights_and_zero_biases(densenet):
    with_kernel = [x for x in flatten(densenet) if hasattr(x, "kernel")]
    assert len(with_kernel) == 1 + 16 + 3 + 1
    for layer in with_kernel:
        kernel = layer.kernel.numpy()
        *window, channels_in, channels_out = kernel.shape
        limit = math.sqrt(6 / (math.prod(window) * (channels_in + channels_out)))
        assert np.abs(kernel).max() <= limit
        assert kernel.std() == pytest.approx(limit / math.sqrt(3), rel=0.05)
        assert not layer.bias.numpy().any()


def test_every_parameter_gets_a_gradient():
    model, data = small(), Data()
    with tf.GradientTape() as tape:
        loss = model.loss(model(data.X, training=True), data.y)
    grads = tape.gradient(loss, model.trainable_variables)
    assert len(grads) == len(model.trainable_variables) > 0
    assert all(g is not None for g in grads)
    for norm in (x for x in flatten(model) if isinstance(x, layers.BatchNormalization)):
        index = [id(v) for v in model.trainable_variables].index(id(norm.gamma))
        assert grads[index].numpy().any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"growth_rate": 0}, r"growth_rate must be an integer >= 1, got 0"),
        ({"num_channels": 1.5}, r"num_channels must be an integer >= 1, got 1.5"),
        ({"arch": ()}, r"arch must hold at least one integer, each >= 1, got \(\)"),
        ({"arch": (4, 0)}, r"arch must hold at least one integer, .* got \(4, 0\)"),
    ],
)
def test_wrong_hyperparameters(wrong, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        d2l.DenseNet(**wrong)


def test_image_too_small():
    message = "^DenseNet needs images of at least 29x29 pixels, got 28x28: enlarge"
    with pytest.raises(ValueError, match=message):
        d2l.DenseNet()(tf.zeros((2, 28, 28, 1)))
    with pytest.raises(ValueError, match=message):
        fit(d2l.DenseNet(), Data(shape=(28, 28, 1)))
    assert d2l.DenseNet()(tf.zeros((1, 29, 29, 1))).shape == (1, 10)


def test_built_at_one_size_called_at_another():
    model = small()
    assert model(tf.zeros((3, 16, 16, 1))).shape == (3, 10)
    assert model(tf.zeros((5, 24, 40, 1))).shape == (5, 10)


# Training.


def test_batch_norm_learns_its_statistics():
    model, data = small(lr=0), Data(batch_size=20)
    model(data.X)
    pad, conv, norm, *_ = model.net.layers
    before = conv(pad(data.X[:20]))
    fit(model, data, precision="fp32")
    mean = tf.reduce_mean(before, axis=(0, 1, 2))
    variance = tf.math.reduce_variance(before, axis=(0, 1, 2))
    np.testing.assert_allclose(norm.moving_mean, 0.1 * mean, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, 0.9 + 0.1 * variance, rtol=1e-4)
    for norm in (x for x in flatten(model) if isinstance(x, layers.BatchNormalization)):
        assert norm.moving_mean.numpy().all()


def test_evaluation_uses_the_statistics_and_leaves_them():
    model, data = small(), Data()
    trainer = fit(model, data)
    stats = [v.numpy() for v in model.non_trainable_variables]
    trainer.eval_step((data.X, data.y))
    assert same(stats, [v.numpy() for v in model.non_trainable_variables])
    # No example depends on its neighbours in the batch.
    np.testing.assert_allclose(model(data.X)[:1], model(data.X[:1]), rtol=1e-4)
    train_mode = model(data.X, training=True)
    assert not np.allclose(model(data.X), train_mode, rtol=1e-2)


def test_history_counts_every_validation_example_once():
    model, data = small(), Data()
    entry = fit(model, data, max_epochs=2).history[-1]
    X, y = data.X[20:], data.y[20:]
    logits = model(X).numpy().astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss = -log_p[np.arange(len(y)), y.numpy()].mean()
    assert entry["val_loss"] == pytest.approx(loss, rel=1e-5)
    assert entry["val_acc"] == pytest.approx((logits.argmax(1) == y.numpy()).mean())
    assert entry["epoch"] == 2
    assert {"train_loss", "train_seconds", "val_seconds"} <= entry.keys()


def test_training_lowers_the_loss():
    history = fit(small(), Data(), max_epochs=5).history
    assert history[-1]["train_loss"] < 0.8 * history[0]["train_loss"]


def test_steps_are_traced_once_for_a_size_of_batch():
    calls = []

    class Counted(Linear):
        def training_step(self, batch):
            calls.append("train")
            return super().training_step(batch)

        def validation_step(self, batch):
            calls.append("val")
            super().validation_step(batch)

        def configure_optimizers(self):
            return keras.optimizers.Adam()  # with variables of its own

    fit(Counted(), Data(), max_epochs=3)
    assert sorted(calls) == ["train"] * 2 + ["val"] * 2  # the last batch is smaller


@pytest.mark.slow
def test_same_seed_same_run():
    def run(seed, lr):
        model = small(lr)
        random.random()
        keras.utils.set_random_seed(random.randrange(100))
        tf.random.normal((3,))
        return fit(model, seed=seed, max_epochs=2), model

    initial = weights(run(seed=0, lr=0)[1])  # at learning rate 0 they stay
    assert same(initial, weights(run(seed=0, lr=0)[1]))
    assert not same(initial, weights(run(seed=1, lr=0)[1]))
    losses = [[e["train_loss"] for e in run(s, 0.1)[0].history] for s in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_layers_of_one_shape_start_with_different_weights():
    model = Linear(layers.Flatten(), layers.Dense(32), layers.Dense(32), lr=0)
    fit(model, Data(shape=(32,)))
    first, second = model.net.layers[1:3]
    assert first.kernel.shape == second.kernel.shape == (32, 32)
    assert not np.array_equal(first.kernel, second.kernel)


def test_seed_leaves_built_layers_and_own_initialisers_alone():
    model, data = small(lr=0), Data()
    model(data.X)
    before = weights(model)
    fit(model, data)
    assert same(before, weights(model))

    mine = keras.initializers.RandomNormal(mean=5, stddev=0.1)
    seeded = keras.initializers.GlorotUniform(seed=3)
    model = Linear(
        layers.Flatten(),
        layers.Dense(64, kernel_initializer=mine, bias_initializer="ones"),
        layers.Dense(64, kernel_initializer=seeded),
        lr=0,
    )
    fit(model, data)
    _, first, second, *_ = model.net.layers
    assert first.kernel.numpy().mean() == pytest.approx(5, abs=0.01)
    assert first.kernel.numpy().std() == pytest.approx(0.1, rel=0.05)
    assert (first.bias.numpy() == 1).all()
    expected = keras.initializers.GlorotUniform(seed=3)((64, 64))
    assert np.array_equal(second.kernel, expected)


def test_seed_fixes_dropout_of_a_built_model():
    model = Linear(layers.Dropout(0.5), lr=0)
    model(Data().X)
    losses = [fit(model, seed=s).history[0]["train_loss"] for s in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_own_loss_step_and_optimiser():
    class Regression(d2l.Module):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)
            self.norm = layers.BatchNormalization()

        def forward(self, A, B):
            return self.dense(self.norm(tf.concat((A, B), axis=1)))

        def loss(self, y_hat, y):
            return tf.reduce_mean((tf.squeeze(y_hat, 1) - tf.cast(y, tf.float32)) ** 2)

        def training_step(self, batch):
            loss = self.loss(self(*batch[:-1]), batch[-1])
            self.plot("loss", loss, train=True)
            self.plot("double", 2 * loss, train=True)
            return loss

        def configure_optimizers(self):
            return keras.optimizers.Adam(0.1)

    class TwoInputs(Data):
        def get_dataloader(self, train):
            loader = super().get_dataloader(train)
            loader[:] = [(X[:, :2], X[:, 2:], y) for X, y in loader]
            return loader

    model = Regression()
    trainer = fit(model, TwoInputs(shape=(5,)), max_epochs=2)
    first, last = trainer.history
    assert last["train_loss"] < first["train_loss"]
    assert last["train_double"] == pytest.approx(2 * last["train_loss"])
    assert model.norm.moving_mean.numpy().all()


def test_module_within_a_module_trains():
    inner = d2l.Module()
    inner.net = keras.Sequential([layers.BatchNormalization()])
    fit(Linear(inner))
    assert inner.net.layers[0].moving_mean.numpy().all()


def test_module_without_loss():
    with pytest.raises(
        NotImplementedError, match=r"Module must define loss\(y_hat, y\)"
    ):
        d2l.Module().loss(None, None)


def test_gradients_are_clipped():
    model, data = Linear(lr=1), Data(batch_size=20)
    model(data.X)
    before = weights(model)
    fit(model, data, gradient_clip_val=0.01)
    change = sum(
        ((v - w) ** 2).sum() for v, w in zip(before, weights(model), strict=True)
    )
    assert math.sqrt(change) == pytest.approx(0.01, rel=1e-3)


def test_plots_and_report(capsys):
    model = small()
    fit(model, Data(), num_gpus=1)
    out = capsys.readouterr().out
    assert ("No GPU found: training on the CPU" in out) == (d2l.num_gpus() == 0)
    assert f"tensorflow {tf.__version__}, keras {keras.__version__}" in out
    assert "seed 0" in out
    assert set(model.board.data) == {"train_loss", "val_loss", "val_acc"}


def test_loss_and_accuracy_of_each_example():
    model = Linear()
    logits, y = tf.constant([[2.0, 0.0], [0.0, 1.0]]), tf.constant([0, 0])
    each = model.loss(logits, y, averaged=False)
    np.testing.assert_allclose(
        each, [math.log1p(math.exp(-2)), math.log1p(math.e)], 1e-6
    )
    assert float(model.loss(logits, y)) == pytest.approx(float(sum(each)) / 2)
    assert model.accuracy(logits, y, averaged=False).numpy().tolist() == [1, 0]
    assert float(model.accuracy(logits, y)) == 0.5


def test_apply_init():
    model = Linear(
        layers.Conv2D(4, 3, kernel_initializer="ones", bias_initializer="ones")
    )
    model.apply_init([Data().X], d2l.init_cnn)
    conv = model.net.layers[0]
    assert np.abs(conv.kernel).max() <= math.sqrt(6 / (9 * 5)) < 1
    assert not conv.bias.numpy().any()


# Data, devices, import.


def test_images_become_nhwc():
    data = object.__new__(d2l.FashionMNIST)
    X = np.random.default_rng(0).integers(256, size=(2, 1, 3, 4), dtype=np.uint8)
    images, labels = data.to_tensors(X, np.array([3, 9]))
    assert images.shape == (2, 3, 4, 1)
    assert images.dtype == tf.float32
    assert np.allclose(images[..., 0], X[:, 0] / 255, rtol=0, atol=1e-7)
    assert labels.numpy().tolist() == [3, 9]


def test_visualize(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    data = object.__new__(d2l.FashionMNIST)
    batch = data.to_tensors(np.zeros((2, 1, 28, 28), np.uint8), np.array([1, 9]))
    axes = data.visualize(batch, ncols=2)
    assert [ax.get_title() for ax in axes.flatten()] == ["trouser", "ankle boot"]


def test_devices():
    assert len(d2l.try_all_gpus()) == max(1, d2l.num_gpus())
    with d2l.cpu():
        assert tf.zeros(1).device.endswith("CPU:0")
    with d2l.try_gpu(d2l.num_gpus()):
        assert tf.zeros(1).device.endswith("CPU:0")


@pytest.mark.slow
def test_import_is_silent_and_chooses_the_backend():
    command = (
        "from d2lext import tensorflow; import keras; print(keras.config.backend())"
    )
    env = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    result = subprocess.run(
        [sys.executable, "-c", command],
        env={**env, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.stdout, result.stderr) == ("tensorflow\n", "")


def test_keras_on_another_backend(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ImportError, match=r"runs on jax: restart Python and import"):
        importlib.reload(d2l.loading)


def test_quiet_stderr(capfd):
    with quiet_stderr():
        os.write(2, b"noise")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
    with pytest.raises(ZeroDivisionError), quiet_stderr():
        os.write(2, b"reason" * (1 // 0 if os.write(2, b"reason") else 1))
    assert capfd.readouterr().err == "reason"
