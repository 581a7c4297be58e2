"""Keras' three kinds of files, and contents that no DenseNet has.

The oracle is Keras' own tensor of that name.
"""

import re
import warnings

import h5py
import numpy as np
import pytest
from shared.weight_files import (
    SMALL,
    assert_refused_when_truncated,
    read_without_any_framework,
    refusal,
)
from shared.weights import assert_same

from d2lext.core.densenet import formats
from d2lext.core.densenet.architecture import Architecture

# keras.applications leaves only the number of blocks to its callers.
KERAS = Architecture(**SMALL.options() | {"growth_rate": 32, "num_channels": 64})


def keras_name(name):
    """The name of a layer in keras.applications, from torchvision's."""
    fixed = {
        "features.conv0": "conv1_conv",
        "features.norm0": "conv1_bn",
        "features.norm5": "bn",
        "classifier": "predictions",
    }
    if name in fixed:
        return fixed[name]
    if match := re.fullmatch(r"features\.transition(\d)\.(norm|conv)", name):
        block, kind = match.groups()
        return f"pool{int(block) + 1}_{'bn' if kind == 'norm' else 'conv'}"
    match = re.fullmatch(r"features\.denseblock(\d)\.denselayer(\d+)\.(.*)", name)
    block, layer, part = match.groups()
    part = {"norm1": "0_bn", "conv1": "1_conv", "norm2": "1_bn", "conv2": "2_conv"}[
        part
    ]
    return f"conv{int(block) + 1}_block{layer}_{part}"


@pytest.fixture(scope="module")
def keras_net():
    pytest.importorskip(
        "d2lext.tensorflow", reason="Keras is not installed", exc_type=ImportError
    )
    from keras.src.applications.densenet import DenseNet

    net = DenseNet(
        blocks=list(KERAS.arch), weights=None, input_shape=(32, 32, 3), classes=10
    )
    rng = np.random.default_rng(1)
    net.set_weights([rng.random(w.shape, np.float32) + 0.1 for w in net.get_weights()])
    return net


@pytest.fixture(scope="module")
def keras_weights(keras_net):
    """The weights by canonical name, taken from the net by Keras' names.

    Its variances, for an epsilon of 1e-5 instead of 1.001e-5.
    """
    weights = {}
    for layer in KERAS.layers():
        own = keras_net.get_layer(keras_name(layer.name))
        if layer.kind == "norm":
            parts = own.gamma, own.beta, own.moving_mean, own.moving_variance
            values = [part.numpy() for part in parts]
            values[3] = (values[3].astype(float) + 1e-8).astype(np.float32)
        elif layer.kind == "conv":
            values = [own.kernel.numpy().transpose(3, 2, 0, 1)]
        else:
            values = [own.kernel.numpy().T, own.bias.numpy()]
        weights |= dict(zip(layer.tensors(), values, strict=True))
    return weights


def write_as_keras_2(path, net):
    """The layout of Keras 2 and of the published files: `conv1/bn/gamma:0`."""
    with h5py.File(path, "w") as file:
        names = [layer.name.replace("conv1_", "conv1/") for layer in net.layers]
        # Keras splits lists that are too long for an attribute.
        for i, piece in enumerate(np.array_split(np.array(names, "S"), 2)):
            file.attrs[f"layer_names{i}"] = piece
        for name, layer in zip(names, net.layers, strict=True):
            group = file.create_group(name)
            paths = [f"{name}/{w.name}:0" for w in layer.weights]
            group.attrs["weight_names"] = np.array(paths, "S")
            for weight_path, weight in zip(paths, layer.weights, strict=True):
                group[weight_path] = weight.numpy()


@pytest.fixture(scope="module")
def keras_files(keras_net, tmp_path_factory):
    """A file of each kind that Keras 3 writes, and one in the format of Keras 2."""
    folder = tmp_path_factory.mktemp("weights")
    from keras.src.legacy.saving import legacy_h5_format

    names = "net.weights.h5", "net.keras", "model.h5", "weights.h5", "keras2.h5"
    paths = [folder / name for name in names]
    with warnings.catch_warnings():
        # Keras' own: TensorFlow's variables do not know NumPy 2's argument `copy`.
        warnings.simplefilter("ignore", DeprecationWarning)
        keras_net.save_weights(paths[0])
        keras_net.save(paths[1])
        keras_net.save(paths[2])
        with h5py.File(paths[3], "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, keras_net)
    write_as_keras_2(paths[4], keras_net)
    return KERAS, paths


def test_keras(keras_files, keras_weights):
    _, paths = keras_files
    for path in paths:
        assert_same(formats.read(path, KERAS.layers()), keras_weights)


def test_keras_state_that_is_no_weight(keras_files, keras_weights, tmp_path):
    """The state of dropout and of an optimiser is skipped."""
    path = tmp_path / "trained.weights.h5"
    path.write_bytes(keras_files[1][0].read_bytes())
    with h5py.File(path, "r+") as file:
        file["layers/dropout/seed_generator/vars/0"] = np.zeros(2, np.uint32)
        file["optimizer/vars/0"] = np.array(7)
    assert_same(formats.read(path, KERAS.layers()), keras_weights)


def test_keras_contents_that_are_refused(keras_files, tmp_path):
    _, (v3, _, _, v2, _) = keras_files

    def changed(source, change):
        path = tmp_path / "changed.h5"
        path.write_bytes(source.read_bytes())
        with h5py.File(path, "r+") as file:
            change(file)
        return refusal(path, KERAS)

    def to_int(file):
        kernel = file["layers/dense/vars"].pop("0")[()]
        file["layers/dense/vars/0"] = kernel.astype(np.int16)

    def without_top(file):
        del file["layers/dense"]

    def nested(file):
        file.create_group("layers/sequential/vars")  # Keras writes it, too
        kernel = np.zeros((1, 1, 1, 1), np.float32)
        file.create_group("layers/sequential/layers/conv2d/vars")["0"] = kernel

    def unknown(file):
        file.create_group("layers/embedding/vars")["0"] = np.zeros((2, 2))

    def external(file):
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(v3), "layers/dense/vars/0")

    def unlike(file):
        file["bn"].attrs["weight_names"] = ["bn/gamma", "bn/gamma"]

    def other(file):
        del file["layers"]

    def too_many(file):
        file["layers/dense/vars/2"] = np.zeros(10, np.float32)
        file["layers/dense/vars"].attrs["name"] = "predictions"  # not of Keras 3.4

    def cyclic(file):
        for i in range(64):  # 2 to the power of 64 paths
            file[f"layers/{i}"] = file["layers/dense"]
            file[f"layers/dense/{i}"] = file["layers"]

    assert "('layers/dense/vars/0') has dtype int16" in changed(v3, to_int)
    assert "0 linear layers, the network 1" in changed(v3, without_top)
    assert "convolutions side by side, got some in 'layers', 'la" in changed(v3, nested)
    assert "layers of a DenseNet, got 'embedding' (embedding)" in changed(v3, unknown)
    assert "got '0' outside of it" in changed(v3, external)
    assert "must have one gamma in the layer 'bn', got two" in changed(v2, unlike)
    assert "must have the layers of a Keras model, got 'vars'" in changed(v3, other)
    assert "got 3 in the layer 'predictions'" in changed(v3, too_many)
    assert "must" in changed(v3, cyclic)


def in_tensorflow_2_13(source, path):
    """The file as TensorFlow 2.12 and 2.13 wrote it: another name for lists of layers."""
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "r+") as file:
        groups = []
        file.visit(groups.append)
        for name in sorted(groups, key=len, reverse=True):
            if name.endswith("layers"):
                file.move(name, f"{name[:-6]}_layer_checkpoint_dependencies")
    return path


def test_keras_of_tensorflow_2_13(keras_files, keras_weights, tmp_path):
    path = in_tensorflow_2_13(keras_files[1][0], tmp_path / "old.h5")
    with h5py.File(path) as file:
        assert "_layer_checkpoint_dependencies/conv2d_1/vars/0" in file
        assert "layers" not in file
    assert_same(formats.read(path, KERAS.layers()), keras_weights)


# Models around a DenseNet, and others. The oracle is their own logits.

SMALLEST = Architecture((1, 1, 1, 1), num_classes=3)
X = np.random.default_rng(1).random((2, 3, 32, 32), np.float32)
SUFFIXES = [".weights.h5", ".keras", ".h5"]


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip(
        "d2lext.tensorflow", reason="Keras is not installed", exc_type=ImportError
    )


@pytest.fixture(scope="module")
def model(tf):
    return tf.create_model("densenet121", **SMALLEST.options())


@pytest.fixture(scope="module")
def features(tf):
    """The features of a small network, with variances around 1e-5."""
    from keras.src.applications.densenet import DenseNet

    net = DenseNet([1] * 4, weights=None, include_top=False, input_shape=(32, 32, 3))
    rng = np.random.default_rng(1)
    for weight in net.weights:
        low, high = (0, 2e-5) if "variance" in weight.name else (-0.2, 0.5)
        weight.assign(rng.uniform(low, high, weight.shape))
    return net


def saved(net, path):
    """The file with the net that the suffix of `path` asks for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        save = net.save_weights if path.name.endswith(".weights.h5") else net.save
        save(path)
    return path


def with_head(*layers):
    """A sequential model with these layers, built."""
    import keras

    net = keras.Sequential([keras.Input((32, 32, 3)), *layers])
    rng = np.random.default_rng(2)
    head = net.layers[-1]
    head.set_weights([rng.random(w.shape) for w in head.get_weights()])
    return net


def logits(net):
    return net(X.transpose(0, 2, 3, 1), training=False).numpy()


def assert_close(a, b):
    assert np.abs(a - b).max() <= 5e-6 * np.abs(b).max()


def other_numbers(tf, model):
    """Give the model weights that no test saves."""
    weights = tf.get_weights(model)
    tf.set_weights(model, {name: np.ones_like(w) for name, w in weights.items()})


@pytest.mark.parametrize("suffix", [*SUFFIXES, " of 2.13"])
@pytest.mark.parametrize("trained", ["all", "last"])
def test_fine_tuned(tf, model, features, tmp_path, suffix, trained):
    """Another head around the features; Keras 2 lists what was trained first."""
    from keras import layers

    for layer in features.layers[:20]:
        layer.trainable = trained == "all"
    net = with_head(
        features, layers.GlobalAveragePooling2D(), layers.Dropout(0.5), layers.Dense(3)
    )
    if suffix == " of 2.13":
        path = saved(net, tmp_path / "net.weights.h5")
        path = in_tensorflow_2_13(path, tmp_path / "old.h5")
    else:
        path = saved(net, tmp_path / f"net{suffix}")
    other_numbers(tf, model)
    tf.load_weights(model, path)
    assert_close(tf.predict(model, X), logits(net))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_without_top(tf, model, features, tmp_path, suffix):
    from keras import layers

    path = saved(features, tmp_path / f"features{suffix}")
    with pytest.raises(ValueError, match=r"0 linear layers, .*head=False\) takes the"):
        tf.load_weights(model, path)
    other_numbers(tf, model)
    tf.load_weights(model, path, head=False)
    head = layers.Dense(3, kernel_initializer="ones", bias_initializer="ones")
    net = with_head(features, layers.GlobalAveragePooling2D(), head)
    head.set_weights([np.ones(w.shape) for w in head.get_weights()])
    assert_close(tf.predict(model, X), logits(net))


@pytest.fixture(scope="module")
def tiny_variances(tf):
    """Keras' network of random weights, whose variances are about the usual epsilon."""
    from keras.src.applications.densenet import DenseNet

    net = DenseNet(
        [1] * 4,
        weights=None,
        input_shape=(32, 32, 3),
        classes=3,
        classifier_activation=None,
    )
    rng = np.random.default_rng(1)
    for weight in net.weights:
        low, high = (0, 2e-5) if "variance" in weight.name else (-0.2, 0.5)
        weight.assign(rng.uniform(low, high, weight.shape))
    return net


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("epsilon", [1e-3, 1e-6])
def test_epsilon_of_the_file(tf, model, tiny_variances, tmp_path, suffix, epsilon):
    """The file says it; 1e-6 makes small variances negative, which changes nothing."""
    net = tiny_variances
    for layer in net.layers:
        if hasattr(layer, "epsilon"):
            layer.epsilon = epsilon
    other_numbers(tf, model)
    tf.load_weights(model, saved(net, tmp_path / f"net{suffix}"))
    assert_close(tf.predict(model, X), logits(net))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_preprocessing(tf, model, features, tmp_path, suffix):
    """What comes before the network is named, and left to those who ask for it."""
    from keras import layers

    normalization = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 4.0, 9.0])
    rest = features, layers.GlobalAveragePooling2D(), layers.Dense(3)
    net = with_head(layers.Rescaling(1 / 8, offset=-1), normalization, *rest)
    path = saved(net, tmp_path / f"net{suffix}")
    scale = {".weights.h5": r"scale \* X \+ offset"}.get(suffix, r"0\.125 \* X \+ -1")
    rule = rf"an image X .*{scale} \(layer 'rescaling.*\(X - .*\) / sqrt\("
    if suffix == ".weights.h5":  # without an order
        rule = r"an image X \(X - .*\) / sqrt\(.*, then with that as X scale \* X"
    with pytest.raises(ValueError, match=f"{rule}.*do so yourself .*adapt_input=True"):
        tf.load_weights(model, path)
    with pytest.warns(UserWarning, match=f"{rule}.*do so yourself with every image"):
        tf.load_weights(model, path, adapt_input=True)
    mean, deviation = np.array([[0.1, 0.2, 0.3], [1, 2, 3]], np.float32)[
        ..., None, None
    ]
    prepared = ((X / 8 - 1) - mean) / deviation
    assert_close(tf.predict(model, prepared), logits(net))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_layers_around_the_features(tf, model, features, tmp_path, suffix):
    """A normalization of images is preprocessing, one of features belongs to a head."""
    from keras import layers

    pool, dense = layers.GlobalAveragePooling2D(), layers.Dense(3)
    net = with_head(layers.BatchNormalization(), features, pool, dense)
    path = saved(net, tmp_path / f"front{suffix}")
    with pytest.raises(
        ValueError, match=r"image X batch_normalization\(X\) .*adapt_in"
    ):
        tf.load_weights(model, path, head=False)
    net = with_head(features, pool, layers.LayerNormalization(), dense)
    path = saved(net, tmp_path / f"head{suffix}")
    with pytest.raises(
        ValueError, match="'layer_normalization.*changes the logits: lo"
    ):
        tf.load_weights(model, path)
    tf.load_weights(model, path, head=False)


def test_learned_preprocessing(tf, features, tmp_path):
    from keras import layers

    normalization = layers.Normalization(name="normalization")  # as the file counts
    normalization.adapt(np.arange(12, dtype=np.float32).reshape(2, 1, 2, 3))
    net = with_head(normalization, features, layers.GlobalAveragePooling2D())
    for suffix in SUFFIXES[:2]:
        path = saved(net, tmp_path / f"net{suffix}")
        message = refusal(path, SMALLEST)
        assert "(X - [4.5, 5.5, 6.5]) / sqrt([11.25, 11.25, 11.25])" in message


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_pooling(tf, model, features, tmp_path, suffix):
    from keras import layers

    net = with_head(features, layers.GlobalMaxPooling2D(), layers.Dense(3))
    path = saved(net, tmp_path / f"net{suffix}")
    with pytest.raises(
        ValueError, match=r"'global_max_pooling.*changes the logits: load"
    ):
        tf.load_weights(model, path)
    tf.load_weights(model, path, head=False)


def test_pooling_between_features(features, tmp_path):
    path = saved(features, tmp_path / "net.weights.h5")
    with h5py.File(path, "r+") as file:
        file.move("layers/average_pooling2d_1", "layers/max_pooling2d_1")
    message = refusal(path, SMALLEST)
    assert (
        "1 MaxPooling2D and 3 AveragePooling2D among its features, got 2 and 2"
        in message
    )


def test_layers_without_weights_may_be_missing(keras_files, keras_weights, tmp_path):
    """Some versions of Keras leave them out of a file of weights."""
    path = tmp_path / "net.weights.h5"
    path.write_bytes(keras_files[1][0].read_bytes())
    with h5py.File(path, "r+") as file:
        for name, layer in list(file["layers"].items()):
            if not len(layer["vars"]):
                del file["layers"][name]
        assert "concatenate" not in file["layers"]
    assert_same(formats.read(path, KERAS.layers()), keras_weights)


def test_padding(features, tmp_path):
    path = saved(features, tmp_path / "net.weights.h5")
    with h5py.File(path, "r+") as file:
        del file["layers/zero_padding2d_1"]
    assert "got 1 ZeroPadding2D (padding='same' adds more" in refusal(path, SMALLEST)


def test_truncated(keras_files, tmp_path):
    assert_refused_when_truncated(keras_files, tmp_path / "short")


def test_without_any_framework(keras_files):
    read_without_any_framework(keras_files)
