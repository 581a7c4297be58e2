"""Keras saves, loads, copies, exports and trains our models as they are."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from shared.random_images import Data

pytest.importorskip("d2lext.tensorflow", exc_type=ImportError)

import keras
import tensorflow as tf
from keras import layers
from shared.frameworks import tensorflow as framework

from d2lext import tensorflow as d2l

pytestmark = [
    pytest.mark.usefixtures("whole_runs"),
    # Keras' own, where it writes a TensorFlow variable to HDF5
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
normal = tf.random.normal


class Options(d2l.Classifier):
    """Arguments of many kinds: layers, NumPy's numbers, objects, any options."""

    def __init__(self, *before, sizes=(1,), init=None, share=0.5, **options):
        super().__init__()
        self.save_hyperparameters(ignore=["before", "init"])
        dense = [layers.Dense(n, kernel_initializer=init) for n in sizes]
        self.net = keras.Sequential([*before, layers.Flatten(), *dense])


class Widened(d2l.DenseNet):
    """Its arguments are not those that its base class keeps as `hparams`."""

    def __init__(self, arch):
        super().__init__(8, 4, arch=tuple(2 * n for n in arch))


class Scratch(d2l.Module):
    """With variables of TensorFlow: one that is trained, and a mean to keep."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(normal((3, 2)))
        self.mean = tf.Variable(normal((2,)), trainable=False)

    def forward(self, X):
        return tf.matmul(X, self.w) - self.mean


MODELS = {
    "create_model": lambda: (
        d2l.create_model("densenet_d2l", arch=(1,), growth_rate=4, num_channels=8),
        normal((2, 28, 28, 1)),
    ),
    "DenseNet": lambda: (
        d2l.DenseNet(np.int64(8), 4, [np.int32(1)], lr=np.float32(0.5)),
        normal((2, 28, 28, 1)),
    ),
    "LeNet": lambda: (d2l.LeNet(num_classes=3), normal((2, 28, 28, 1))),
    "Residual": lambda: (d2l.Residual(4, use_1x1conv=True), normal((2, 6, 6, 3))),
    "Options": lambda: (
        Options(
            layers.Rescaling(2.0), sizes=(4, 3), init=d2l.HeNormal(), more={"a": 1}
        ),
        normal((2, 3)),
    ),
    "Scratch": lambda: (Scratch(), normal((2, 3))),
    "Widened": lambda: (Widened((1,)), normal((2, 28, 28, 1))),
    "Regression": lambda: (framework.Regression(), normal((2, 3)), normal((2, 1))),
    "tokens": lambda: (framework.Linear(layers.Embedding(5, 4)), tf.constant([[1, 4]])),
}


def copies(model, path):
    """Copies of a built model, by every way that Keras and Python have."""
    model.save(path / "model.keras")
    yield keras.saving.load_model(path / "model.keras")
    yield copy.deepcopy(model)
    yield pickle.loads(pickle.dumps(model))
    model.save_weights(path / "model.weights.h5")
    for new in (
        keras.models.clone_model(model),
        keras.models.model_from_json(model.to_json()),
    ):
        new.set_weights(model.get_weights())
        yield new
        new.set_weights([0 * a for a in model.get_weights()])
        new.load_weights(path / "model.weights.h5")
        yield new


def arguments(model):
    """Its config as JSON, without layers: theirs says whether they are built."""
    config = json.loads(json.dumps(model.get_config()))
    return {name: value for name, value in config.items() if name != "before"}


@pytest.mark.parametrize("name", MODELS)
def test_copies(tmp_path, name):
    model, *X = MODELS[name]()
    expected = model(*X)
    for new in copies(model, tmp_path):
        assert type(new) is type(model)
        np.testing.assert_array_equal(new(*X), expected)
        assert arguments(new) == arguments(model)
    for key, value in getattr(model, "hparams", {}).items():
        restored = new.hparams[key]
        assert restored == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize("name", MODELS)
def test_copies_of_models_that_are_not_built(name):
    model, *X = MODELS[name]()
    new = type(model).from_config(model.get_config())
    new = copy.deepcopy(pickle.loads(pickle.dumps(new)))
    assert not new.built
    assert new(*X).shape == model(*X).shape


def test_layers_that_are_frozen(tmp_path):
    model, _ = MODELS["create_model"]()
    model.net.trainable = False
    model.net.layers[-1].trainable = True
    trainable = [v.shape for v in model.trainable_variables]
    assert len(trainable) == 2
    for new in copies(model, tmp_path):
        assert [v.shape for v in new.trainable_variables] == trainable


def test_layers_and_options_that_are_changed(tmp_path):
    """Copies of a trained network are as it is, not as its constructor made it."""
    model = MODELS["create_model"]()[0]
    data = Data(d2l, (1, 28, 28))
    d2l.Trainer(max_epochs=1).fit(model, data)
    assert model.get_config() == MODELS["create_model"]()[0].get_config()
    model.net.layers[-1].activation = keras.activations.softmax
    model.net.layers[-2].keepdims = False  # as it was
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.epsilon, layer.momentum = 0.1, 0.5
    model.lr = 0.25
    expected = model(data.X)
    np.testing.assert_allclose(tf.reduce_sum(expected, axis=1), 1, rtol=1e-5)
    for new in copies(model, tmp_path):
        np.testing.assert_allclose(new(data.X), expected, rtol=1e-5)
        assert framework.norms(new) == framework.norms(model)
        assert set(framework.norms(new)) == {(0.1, 0.5)}
        assert new.lr == 0.25


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda net: net.add(layers.Softmax()), "Softmax as well"),
        (lambda net: net.pop(), "fewer"),
        (lambda net: swap(net), "Identity for Dense"),
    ],
)
def test_layers_that_the_constructor_does_not_make(change, got):
    model, _ = MODELS["create_model"]()
    change(model.net)
    for copied in (copy.deepcopy, pickle.dumps, keras.models.clone_model):
        with pytest.raises(ValueError, match=f"constructor makes, got {got}: change"):
            copied(model)


def swap(net):
    """Put another layer in the place of the last one."""
    net.pop()
    net.add(layers.Identity())


def test_a_model_within_a_model_of_keras(tmp_path):
    inputs = keras.Input((None, None, 1))
    block = d2l.Residual(4, use_1x1conv=True)
    outputs = d2l.DenseNet(8, 4, (1,))(block(inputs))
    model, X = keras.Model(inputs, outputs), normal((2, 9, 8, 1))
    model.save(tmp_path / "model.keras")
    new = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(new(X), model(X))


def test_a_file_for_another_process(tmp_path):
    model, X = MODELS["create_model"]()
    np.save(tmp_path / "X.npy", X)
    model.save(tmp_path / "model.keras")
    code = """
import sys, numpy as np
from d2lext import tensorflow as d2l
import keras
model = keras.saving.load_model(sys.argv[1] + "/model.keras")
np.save(sys.argv[1] + "/Y.npy", model(np.load(sys.argv[1] + "/X.npy")))
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "Y.npy"), model(X), rtol=1e-5)


def test_hdf5_holds_weights_alone(tmp_path):
    model, X = MODELS["create_model"]()
    for name in ("model.h5", tmp_path / "model.hdf5"):
        with pytest.raises(
            ValueError, match=r"must be .* got .*: call save\('DenseNetBC.k"
        ):
            model.save(name)
    assert not any(tmp_path.iterdir())
    # In a network of Keras' own classes, it may be a part.
    whole = keras.Sequential([keras.Input(X.shape[1:]), model])
    whole.save(tmp_path / "whole.h5")
    np.testing.assert_array_equal(
        keras.saving.load_model(tmp_path / "whole.h5")(X), model(X)
    )


def test_a_config_of_other_arguments():
    with pytest.raises(TypeError, match="arguments of its constructor, got growth"):
        d2l.DenseNet.from_config({"growth": 4})


def test_export_takes_any_number_and_size_of_images(tmp_path):
    model, X = MODELS["create_model"]()
    path = str(tmp_path / "saved")
    model.export(path)
    saved = tf.saved_model.load(path)
    for shape in [(1, 29, 29, 1), (3, 40, 31, 1), (2, 5, 64, 1)]:
        X = normal(shape)
        np.testing.assert_allclose(saved.serve(X), model(X), rtol=1e-4, atol=1e-5)
    deep = d2l.DenseNet(8, 4, (1, 1, 1))
    deep.build((None, None, None, 1))
    deep.export(path)
    saved = tf.saved_model.load(path)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 13x13 pixels"):
        saved.serve(normal((1, 12, 20, 1)))


class Static(d2l.Classifier):
    """Its forward pass needs the size of the images."""

    def __init__(self):
        super().__init__()
        self.net = layers.Dense(2)

    def forward(self, X):
        return self.net(tf.reshape(X, (-1, X.shape[1] * X.shape[2] * X.shape[3])))


@pytest.mark.parametrize("name", ["LeNet", "Options", "Regression", "tokens", "Static"])
def test_export_of_networks_for_one_size(tmp_path, name):
    model, *X = MODELS.get(name, lambda: (Static(), normal((2, 5, 4, 1))))()
    expected = model(*X)
    path = str(tmp_path / "saved")
    model.export(path)
    saved = tf.saved_model.load(path)
    np.testing.assert_allclose(saved.serve(*X), expected, rtol=1e-4, atol=1e-5)
    more = [tf.concat((x, x), axis=0) for x in X]
    np.testing.assert_allclose(saved.serve(*more), model(*more), rtol=1e-4, atol=1e-5)


def test_keras_builds_a_model():
    model = d2l.DenseNet(8, 4, (1,))
    model.build((None, None, None, 1))
    # stem 7*7*8+8 + 16, block 16 + 8*9*4+4, head 24 + 12*10+10
    assert d2l.num_params(model) == 400 + 16 + 16 + 292 + 24 + 130


def test_keras_trains_a_model(tmp_path):
    """As it trains the network alone, and the trainer goes on afterwards."""
    data = Data(d2l, (3,))
    model, _ = MODELS["Options"]()
    model(data.X)
    model.lr, model.momentum, model.weight_decay = 0.1, 0.9, 0.01
    alone = keras.models.clone_model(model.net)
    alone.set_weights(model.get_weights())
    labels = data.y % 3
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    histories = []
    for each in (model, alone):
        each.compile(model.configure_optimizers(), loss, metrics=["accuracy"])
        fitted = each.fit(data.X, labels, epochs=2, shuffle=False, verbose=0)
        histories.append(fitted.history)
        histories.append(each.evaluate(data.X, labels, verbose=0))
    assert histories[:2] == histories[2:]
    np.testing.assert_array_equal(model.predict(data.X, verbose=0), model(data.X))
    model.save(tmp_path / "model.keras")
    new = keras.saving.load_model(tmp_path / "model.keras")
    for each in (new, model):
        each.fit(data.X, labels, shuffle=False, verbose=0)
    np.testing.assert_array_equal(new(data.X), model(data.X))
    data.y = labels
    d2l.Trainer(max_epochs=1, compile=False).fit(model, data)


def test_keras_loss_of_probabilities():
    with pytest.warns(UserWarning, match="returns logits, got a loss of probabilities"):
        d2l.LeNet().compile(loss="sparse_categorical_crossentropy")
