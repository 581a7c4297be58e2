"""safetensors: what this library writes, and what others write."""

import json
import os
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from shared.weight_files import (
    SMALL,
    assert_refused_when_truncated,
    random_weights,
    read_without_any_framework,
    refusal,
)
from shared.weights import assert_same

from d2lext.core.densenet import formats


@pytest.fixture(scope="module")
def our_files(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    formats.write(path, random_weights(SMALL), SMALL)
    return SMALL, [path]


def test_write(our_files, tmp_path):
    [path] = our_files[1]
    weights = random_weights(SMALL)
    assert_same(formats.read(path, SMALL.layers()), weights)
    assert_same({n: load_file(path)[n] for n in weights}, weights)
    assert formats.read_metadata(path) == SMALL.options()
    header = json.loads(path.read_bytes()[8:].split(b"}}", 1)[0] + b"}}")
    assert header["__metadata__"]["format"] == "d2lext"
    # Equal bytes, also from arrays with another layout in memory.
    other = tmp_path / "other"
    turned = {n: np.asfortranarray(array) for n, array in weights.items()}
    formats.write(str(other), turned, SMALL)
    assert other.read_bytes() == path.read_bytes()


def test_write_leaves_no_half_file(our_files, tmp_path, monkeypatch):
    path = tmp_path / "weights.safetensors"
    weights = random_weights(SMALL)
    with pytest.raises(
        ValueError, match="got float64 for features.conv0.weight: convert"
    ):
        formats.write(path, {n: w.astype(float) for n, w in weights.items()}, SMALL)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        formats.write(path, weights, SMALL)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"before"]
    monkeypatch.undo()
    formats.write(path, weights, SMALL)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == our_files[1][0].read_bytes()
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_safetensors_of_others(tmp_path):
    path, weights = tmp_path / "model.bin", random_weights(SMALL)
    counter = {"features.norm0.num_batches_tracked": np.array(7)}
    save_file(weights | counter, path)
    assert_same(formats.read(path, SMALL.layers()), weights)
    assert formats.read_metadata(path) is None
    save_file(weights, path, metadata={"format": "pt"})
    assert formats.read_metadata(path) is None
    for dtype in np.float64, np.float16:
        saved = {n: w.astype(dtype) for n, w in weights.items()}
        save_file(saved, path)
        expected = {n: w.astype(np.float32) for n, w in saved.items()}
        assert_same(formats.read(path, SMALL.layers()), expected)
    save_file({n: w.astype(np.int32) for n, w in weights.items()}, path)
    assert "features.conv0.weight has dtype I32 in the file" in refusal(path)


def test_bfloat16(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from safetensors.torch import save_file as save_torch_file

    weights = random_weights(SMALL)
    halves = {n: torch.from_numpy(w).bfloat16() for n, w in weights.items()}
    save_torch_file(halves, tmp_path / "halves")
    expected = {n: half.float().numpy() for n, half in halves.items()}
    assert_same(formats.read(tmp_path / "halves", SMALL.layers()), expected)


def test_metadata_that_is_damaged(tmp_path):
    path, tensors = tmp_path / "model", {"a": np.zeros(1, np.float32)}
    for more in ({"architecture": "{"}, {"architecture": "[]"}, {}):
        save_file(tensors, path, metadata={"format": "d2lext"} | more)
        with pytest.raises(ValueError, match="save it again"):
            formats.read_metadata(path)


def test_header_longer_than_the_file(our_files, tmp_path):
    path = tmp_path / "weights.safetensors"
    data = our_files[1][0].read_bytes()
    path.write_bytes(struct.pack("<Q", len(data)) + data[8:])
    assert "is truncated or damaged" in refusal(path)


def test_truncated(our_files, tmp_path):
    assert_refused_when_truncated(our_files, tmp_path / "short")


def test_without_any_framework(our_files):
    read_without_any_framework(our_files)
