"""Files and weights that do not fit the network, and files that hold no weights."""

import io

import numpy as np
import pytest
from shared.weight_files import SMALL, random_weights, refusal
from shared.weights import assert_same

from d2lext.core.densenet import formats
from d2lext.core.densenet.architecture import Architecture


def _without(weights):
    del weights["features.norm5.bias"], weights["classifier.bias"]


def _with_more(weights):
    weights["head.weight"] = np.zeros(2, np.float32)


def _with_nan(weights):
    weights["features.norm5.running_var"][1] = np.nan
    weights["classifier.bias"][1] = np.inf


def _with_infinity(weights):
    weights["classifier.bias"][1] = np.inf


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            _without,
            {},
            "must fit the network: features.norm5.bias is missing from {what} (and 1 "
            "more difference): build the network that was saved",
        ),
        (
            _with_more,
            {},
            "must fit the network: 'head.weight' is in {what}, but not in the network: "
            "build the network that was saved",
        ),
        (
            None,
            {"num_classes": 7},
            "must fit the network: classifier.weight has shape (10, 15) in {what}, the "
            "network (7, 15) (and 1 more difference): use create_model(..., "
            "num_classes=10), or load_weights(..., classes=[...]) for 7 of these "
            "classes; load_weights(..., head=False) takes the features and keeps the "
            "model's head",
        ),
        (
            None,
            {"num_channels": 8},
            "must fit the network: features.conv0.weight has shape (6, 3, 7, 7) in "
            "{what}, the network (8, 3, 7, 7) (and 64 more differences): build the "
            "network that was saved",
        ),
        (
            _with_nan,
            {},
            "must hold finite numbers, features.norm5.running_var has NaN or infinity: "
            "use weights from before the training diverged",
        ),
        (
            _with_infinity,
            {},
            "must hold finite numbers, classifier.bias has NaN or infinity: "
            "use weights from before the training diverged",
        ),
    ],
)
def test_weights_that_do_not_fit(tmp_path, change, options, message):
    weights = random_weights(SMALL)
    if change:
        change(weights)
    path = tmp_path / "weights.safetensors"
    formats.write(path, weights, SMALL)
    network = Architecture(**SMALL.options() | options)
    assert refusal(path, network) == message.format(what="the file")
    with pytest.raises(ValueError, match=r"^the weights must") as caught:
        formats.check(weights, network.tensors(), "the weights")
    assert str(caught.value) == "the weights " + message.format(what="the weights")


def test_check():
    weights = random_weights(SMALL)
    assert_same(formats.check(weights, SMALL.tensors(), "the weights"), weights)
    lists = weights | {"classifier.bias": weights["classifier.bias"].tolist()}
    assert_same(formats.check(lists, SMALL.tensors(), "the weights"), weights)
    weights["classifier.bias"] = np.arange(10)
    with pytest.raises(ValueError, match="classifier.bias has dtype int64 in the w"):
        formats.check(weights, SMALL.tensors(), "the weights")


def test_files_that_are_something_else(tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(FileNotFoundError):
        formats.read(path, SMALL.layers())
    with pytest.raises(FileNotFoundError):
        formats.read_metadata(path)
    assert "must be a weight file, got a folder: name a file in it" in refusal(tmp_path)
    path.write_bytes(b"")
    assert "Gluon or Flax, got an empty one: download it again" in refusal(path)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    assert "got one that begins with b'version https://': download it again" in refusal(
        path
    )
    path.write_bytes(b'{"ab": [{"b": 1}]}')  # the ninth byte as in safetensors
    assert "of safetensors, PyTorch, Keras, Gluon or Flax" in refusal(path)
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    path.write_bytes(buffer.getvalue())
    assert "got an archive of NumPy arrays: for weights" in refusal(path)
