"""What TensorFlow's backend has alone: Keras' own seeds and variables, its devices."""

import importlib
import threading

import numpy as np
import pytest
from shared.random_images import Data

pytest.importorskip("d2lext.tensorflow", exc_type=ImportError)

import keras
import tensorflow as tf
from keras import layers
from shared.frameworks import tensorflow as framework
from tensorflow.python.eager.context import context

from d2lext import tensorflow as d2l

pytestmark = pytest.mark.usefixtures("whole_runs")
Linear = framework.Linear


def fit(model, data=None, **options):
    d2l.Trainer(max_epochs=1, **options).fit(model, data or Data(d2l))


def test_layers_of_one_shape_start_with_different_weights():
    model = Linear(layers.Flatten(), layers.Dense(32), layers.Dense(32), lr=0)
    fit(model, Data(d2l, (32,)))
    first, second = model.net.layers[1:3]
    assert first.kernel.shape == second.kernel.shape == (32, 32)
    assert not np.array_equal(first.kernel, second.kernel)


def test_seed_leaves_own_initialisers_alone():
    mine = keras.initializers.RandomNormal(mean=5, stddev=0.1)
    seeded = keras.initializers.GlorotUniform(seed=3)
    model = Linear(
        layers.Flatten(),
        layers.Dense(64, kernel_initializer=mine, bias_initializer="ones"),
        layers.Dense(64, kernel_initializer=seeded),
        lr=0,
    )
    fit(model)
    _, first, second, *_ = model.net.layers
    assert first.kernel.numpy().mean() == pytest.approx(5, abs=0.01)
    assert first.kernel.numpy().std() == pytest.approx(0.1, rel=0.05)
    assert (first.bias.numpy() == 1).all()
    expected = keras.initializers.GlorotUniform(seed=3)((64, 64))
    assert np.array_equal(second.kernel, expected)


def test_module_within_a_module_trains():
    inner = d2l.Module()
    inner.net = keras.Sequential([layers.BatchNormalization()])
    fit(Linear(inner))
    assert inner.net.layers[0].moving_mean.numpy().all()


class OwnWeights(d2l.Classifier):
    """Its one parameter is the attribute `W`; `place` is the last forward's device."""

    lr = 0.1

    def __init__(self, make):
        super().__init__()
        self.W = make(d2l.zeros((16 * 16, 10)))

    def forward(self, X):
        self.place = context().device_name
        return d2l.matmul(d2l.reshape(X, (-1, 16 * 16)), self.W)


@pytest.mark.parametrize("make", [keras.Variable, tf.Variable])
def test_parameters_that_are_attributes(make):
    model = OwnWeights(make)
    fit(model)
    assert model.W.numpy().any()
    assert len(model.trainable_variables) == 1


def test_a_variable_that_keras_does_not_train_is_refused():
    model = OwnWeights(keras.Variable)
    model.more = [tf.Variable(0.0)]
    with pytest.raises(
        ValueError, match=r"tf.Variable as OwnWeights.more: make it with keras.Variable"
    ):
        fit(model)


class TrainingOnly(Data):
    """Without validation: `place` is the device of a training step."""

    def val_dataloader(self):
        return None


def test_training_within_a_device_of_tensorflow(monkeypatch):
    # Where there is no GPU, TensorFlow computes on the CPU by the GPU's name.
    monkeypatch.setattr(d2l.device._devices, "num_gpus", lambda: 1)
    trainer, data = d2l.Trainer(max_epochs=1), TrainingOnly(d2l)
    with d2l.try_gpu():
        model = OwnWeights(keras.Variable)
        trainer.fit(model, data)
    assert model.place.endswith("GPU:0")
    assert model.W.numpy().any()
    trainer.fit(OwnWeights(keras.Variable), data)
    assert trainer.model.place.endswith("CPU:0")


def test_keras_on_another_backend(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ImportError, match=r"runs on jax: restart Python and import"):
        importlib.reload(d2l.loading)


def test_python_decides_in_steps_that_are_not_compiled():
    seen = []

    class Looks(Linear):
        def training_step(self, batch):
            loss = super().training_step(batch)
            if loss.numpy() > 0:
                seen.append(float(loss))
            return loss

    fit(Looks(), compile=False)
    assert len(seen) == 3
    with pytest.raises(AttributeError, match="numpy"):
        fit(Looks(), compile=True)


def test_each_thread_has_its_own_mode():
    """A prediction in one thread leaves a training step in another as it is."""
    outputs = []

    class Looks(Linear):
        def training_step(self, batch):
            for _ in range(2):
                thread = threading.Thread(target=lambda: outputs.append(self(batch[0])))
                thread.start()
                thread.join()
            assert self.training
            return super().training_step(batch)

    fit(Looks(dropout=0.5, lr=0), compile=False)
    for first, second in zip(outputs[::2], outputs[1::2], strict=True):
        assert np.array_equal(first, second)
