"""TensorFlow: steps in bfloat16, and batch normalization as one operation."""

import numpy as np
import pytest

pytest.importorskip("d2lext.tensorflow", exc_type=ImportError)

import keras
import tensorflow as tf
from keras import layers
from shared.frameworks import small
from tensorflow.python.eager.context import context

from d2lext import tensorflow as d2l
from d2lext.core.machine import processor
from d2lext.tensorflow.speed.normalization import fused
from d2lext.tensorflow.speed.precision import in_graph, mixed

X = tf.random.stateless_normal((4, 32, 32, 1), seed=(0, 1))
Y = tf.constant([0, 1, 2, 3])
NOISE = 0.03  # of a few layers; bfloat16 has 8 binary digits


class Doubled(layers.Layer):
    """A layer of a reader's own, which notes what types it meets."""

    def __init__(self):
        super().__init__()
        self.weight = self.add_weight(shape=(1,), initializer="ones")
        self.seen = []

    def call(self, X):
        self.seen.append((X.dtype.name, tf.convert_to_tensor(self.weight).dtype.name))
        return 2 * X * self.weight


class Own(d2l.Classifier):
    """A network with a module, a Sequential and a functional model in it."""

    def __init__(self):
        super().__init__()
        self.lr = 0.1
        inputs = keras.Input((32, 32, 4))
        functional = keras.Model(inputs, layers.Conv2D(4, 3)(inputs))
        inner = keras.Sequential([layers.BatchNormalization(), layers.Dropout(0.5)])
        self.doubled = Doubled()
        self.net = keras.Sequential([
            layers.Conv2D(4, 3, padding="same"),
            functional,
            inner,
            self.doubled,
            layers.Flatten(),
            layers.Dense(10),
        ])  # fmt: skip


def densenet():
    return small(d2l, arch=(2, 2))


def built(make):
    keras.utils.set_random_seed(0)
    model = make()
    model(X)
    return model


def state_of(model):
    flat = model._flatten_layers()
    graphs = [getattr(layer, "_functional", None) for layer in flat]
    return [layer.dtype_policy.name for layer in flat], graphs, vars(model).get("call")


def gradients(model, inputs=X):
    """The loss's gradients and, after them, all variables, of a training step."""
    with tf.GradientTape() as tape:
        loss = model.loss(model(inputs, training=True), Y)
    grads = tape.gradient(loss, model.trainable_variables)
    return [a.numpy() for a in (*grads, *(v.value for v in model.variables))]


def close(a, b, atol=1e-4):
    return all(np.allclose(v, w, atol=atol) for v, w in zip(a, b, strict=True))


# By policy.


@pytest.mark.parametrize("make", [densenet, Own])
def test_mixed_differs_from_float32_by_bfloat16s_noise(make):
    model = built(make)
    exact = model(X)
    with mixed(model):
        rounded = model(X)
    assert rounded.dtype == tf.float32
    scale = float(tf.reduce_max(abs(exact)))
    assert 0 < float(tf.reduce_max(abs(rounded - exact))) < NOISE * scale


@pytest.mark.parametrize("make", [densenet, Own])
def test_after_mixed_all_is_as_before(make):
    model = built(make)
    before, exact = state_of(model), model(X)
    with mixed(model):
        model(X, training=False)
        assert state_of(model) != before
    assert state_of(model) == before
    assert np.array_equal(model(X), exact)


def test_after_an_exception_all_is_as_before():
    model = built(Own)
    before = state_of(model)
    with pytest.raises(KeyError), mixed(model):
        raise KeyError
    assert state_of(model) == before


def test_mixed_keeps_variables_gradients_and_statistics_in_float32():
    model = built(densenet)
    with mixed(model):
        arrays = gradients(model)
    assert {a.dtype.name for a in arrays} == {"float32"}


def test_mixed_reaches_layers_of_ones_own():
    model = built(Own)
    model.doubled.seen.clear()
    with mixed(model):
        model(X)
    assert model.doubled.seen == [("bfloat16", "bfloat16")]


def test_mixed_leaves_layers_of_another_type_alone():
    model = built(densenet)
    model.net.layers[-1].dtype_policy = "float64"
    with mixed(model):
        assert model.net.layers[-1].compute_dtype == "float64"
    assert model.net.layers[-1].compute_dtype == "float64"


def test_mixed_needs_a_built_model():
    with pytest.raises(ValueError, match="got a DenseNet that has seen no input"):
        mixed(densenet()).__enter__()


# By rewriting the graph.


@pytest.mark.skipif(not processor.has_bfloat16(), reason="the CPU has no bfloat16")
def test_in_graph_differs_from_float32_by_bfloat16s_noise():
    model = built(densenet)
    exact = model(X)
    function = tf.function(model, autograph=False)
    rounded = in_graph(function)(X)
    scale = float(tf.reduce_max(abs(exact)))
    assert rounded.dtype == tf.float32
    assert 0 < float(tf.reduce_max(abs(rounded - exact))) < NOISE * scale
    assert np.allclose(function(X), exact, atol=1e-5)


def test_in_graph_leaves_the_options_as_before():
    def options():
        return context().function_call_options.config_proto_serialized

    seen, before = [], options()
    in_graph(lambda: seen.append(options()))()
    assert seen[0] != before == options()
    with pytest.raises(KeyError):
        in_graph({}.__getitem__)("missing")
    assert options() == before


# Normalization.


def test_fused_is_the_same_function():
    exact = gradients(built(densenet))
    model = built(densenet)
    with fused(model):
        arrays = gradients(model)
    assert not all(map(np.array_equal, arrays, exact))  # another operation
    assert close(arrays, exact, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((4, 6, 6, 3), {"scale": False, "center": False}),
        ((4, 6, 6, 3), {"momentum": 0.7, "epsilon": 0.1}),
        ((4, 6, 6, 3), {"trainable": False}),
        ((4, 6, 6, 3), {"axis": 1}),
        ((1, 1, 1, 3), {}),
        ((5, 3), {}),
    ],
)
def test_fused_layer(shape, options):
    inputs = 2 + 3 * tf.random.stateless_normal(shape, seed=(0, 1))

    def run(train):
        layer = layers.BatchNormalization(**options)
        layer(inputs)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = train(layer)
            loss = tf.reduce_sum(outputs**3)
        grads = tape.gradient(loss, [inputs, *layer.trainable_variables])
        return [tf.convert_to_tensor(a) for a in (outputs, *grads, *layer.variables)]

    def by_one_operation(layer):
        with fused(layer):
            return layer(inputs, training=True)

    exact = run(lambda layer: layer(inputs, training=True))
    assert close(run(by_one_operation), exact, atol=1e-3)


def test_fused_concerns_keras_layer_in_training_only():
    class Reversed(layers.BatchNormalization):
        def call(self, X, training=None):
            return -super().call(X, training=training)

    def outputs(layer, training):
        layer(X)
        exact = layer(X, training=training)
        with fused(layer):
            return np.array_equal(layer(X, training=training), exact)

    assert outputs(layers.BatchNormalization(), training=False)
    assert outputs(Reversed(), training=True)


def test_after_fused_all_is_as_before():
    layer = layers.BatchNormalization()
    with fused(layer):
        assert "call" in vars(layer)
    assert "call" not in vars(layer)
    with pytest.raises(KeyError), fused(layer):
        raise KeyError
    assert "call" not in vars(layer)
