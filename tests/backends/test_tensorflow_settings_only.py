"""Keras' global settings change nothing in our networks and trainings."""

import contextlib
import functools

import numpy as np
import pytest
from shared.random_images import Data, images

pytest.importorskip("d2lext.tensorflow", exc_type=ImportError)

import keras
import tensorflow as tf
from keras import layers
from shared.frameworks import tensorflow as framework

from d2lext import tensorflow as d2l
from d2lext.tensorflow.module import flatten
from d2lext.tensorflow.settings import check_layers

pytestmark = pytest.mark.usefixtures("whole_runs")
CHANGES = {
    "mixed_float16": lambda: keras.mixed_precision.set_global_policy("mixed_float16"),
    "float64": lambda: keras.config.set_dtype_policy("float64"),
    "floatx": lambda: keras.config.set_floatx("float16"),
    "channels_first": lambda: keras.config.set_image_data_format("channels_first"),
}


def of_keras():
    """Keras' settings as they are."""
    policy = keras.config.dtype_policy().name
    return policy, keras.config.floatx(), keras.config.image_data_format()


@contextlib.contextmanager
def settings(change):
    """Keras' settings after one of the CHANGES, which stay as they are."""
    try:
        CHANGES[change]()
        before = of_keras()
        yield
        assert of_keras() == before
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_floatx("float32")
        keras.config.set_image_data_format("channels_last")


def fit(model, **options):
    d2l.Trainer(max_epochs=1, **options).fit(model, Data(d2l))


@functools.cache
def trained(change, when, precision):
    """The variables after a training; the settings change before `when`."""
    with contextlib.ExitStack() as stack:
        if when == "model":
            stack.enter_context(settings(change))
        model = d2l.DenseNetBC((1,), 4, 8, momentum=0.9, weight_decay=0.01, lr=0.03)
        if when == "fit":
            stack.enter_context(settings(change))
        fit(model, precision=precision, compile=False)
    assert {layer.compute_dtype for layer in flatten(model)} == {"float32"}
    return [v.numpy() for v in (*model.variables, *model.trainer.optim.variables)]


@pytest.mark.parametrize(
    ("change", "when", "precision"),
    [
        *((change, "model", "fp32") for change in CHANGES),
        ("floatx", "fit", "fp32"),
        ("mixed_float16", "model", "bf16"),
    ],
)
def test_training(change, when, precision):
    variables = trained(None, "", precision), trained(change, when, precision)
    for expected, found in zip(*variables, strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_every_layer_of_a_network_by_name():
    """Also Keras' own within it, such as those for inputs, which a trainer checks."""
    with settings("mixed_float16"):
        model = d2l.create_model("densenet_d2l", arch=(1,), growth_rate=4)
        check_layers(flatten(model))


@pytest.mark.parametrize("change", CHANGES)
def test_networks(change):
    def numbers():
        keras.utils.set_random_seed(0)
        X, y = images((2, 1, 28, 28))
        model = d2l.create_model("densenet_d2l", arch=(1,), growth_rate=4)
        yield d2l.predict(model, X)
        step = d2l.examine(model, X, y)
        yield from (step.logits, *step.gradients.values())
        X = tf.transpose(X, (0, 2, 3, 1))
        blocks = d2l.LeNet(), d2l.Residual(2, True, 2)
        for block in blocks:
            yield block(X).numpy()
        blocks[0].apply_init([X], d2l.init_cnn)
        yield from blocks[0].get_weights()

    expected = list(numbers())
    with settings(change):
        found = list(numbers())
    for a, b in zip(expected, found, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_layers_keep_what_their_author_chose():
    class Own(d2l.Classifier):
        def __init__(self):
            super().__init__()
            self.lr = 0.1
            first = layers.Dense(4, dtype="mixed_bfloat16")
            self.net = keras.Sequential([layers.Flatten(), first, layers.Dense(10)])

    with settings("mixed_float16"):
        model = Own()
        fit(model, precision="fp32", compile=False)
    types = [layer.compute_dtype for layer in model.net.layers]
    assert types == ["float32", "bfloat16", "float32"]


def test_layers_that_were_made_elsewhere_with_other_settings():
    with settings("mixed_float16"):
        model = framework.Linear(layers.Dense(4, name="mine"))
        with pytest.raises(ValueError, match="layer mine with .* policy mixed_float16"):
            fit(model, compile=False)
    fit(model, compile=False)  # the remedy where it shall compute in float16
    with settings("channels_first"):
        model = framework.Linear(layers.Conv2D(4, 3, padding="same", name="mine"))
        with pytest.raises(ValueError, match=r"\(n, h, w, c\).* layer mine with"):
            fit(model)
