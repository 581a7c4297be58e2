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

    def cyclic(file):
        for i in range(64):  # 2 to the power of 64 paths
            file[f"layers/{i}"] = file["layers/dense"]
            file[f"layers/dense/{i}"] = file["layers"]

    assert "('layers/dense/vars/0') has dtype int16" in changed(v3, to_int)
    assert "0 linear layers (no tensors), the network 1" in changed(v3, without_top)
    assert "convolutions side by side, got some in 'layers', 'la" in changed(v3, nested)
    assert "layers of a DenseNet, got 'embedding' (embedding)" in changed(v3, unknown)
    assert "got '0' outside of it" in changed(v3, external)
    assert "must have one gamma in the layer 'bn', got two" in changed(v2, unlike)
    assert "must have the layers of a Keras model, got 'vars'" in changed(v3, other)
    assert "got 3 in the layer 'predictions'" in changed(v3, too_many)
    assert "must" in changed(v3, cyclic)


def test_truncated(keras_files, tmp_path):
    assert_refused_when_truncated(keras_files, tmp_path / "short")


def test_without_any_framework(keras_files):
    read_without_any_framework(keras_files)
