"""The real Fashion-MNIST, where it is on this machine."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from shared import ROOT
from shared.publisher import TRAIN_IMAGES

from d2lext.core.data import fashion_mnist

# Published beside the data set: of the compressed files MD5, of their contents SHA-256.
MD5_START = ["8d4fb7e6", "25c81989", "bef4ecab", "bb300cfd"]
IDX_SHA256 = [
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
]


@pytest.fixture
def real_root(monkeypatch):
    """The folder with the real files, which D2LEXT_DATA names during the test."""
    root = Path(os.environ.get("D2LEXT_DATA") or ROOT.parent / "shared" / "data")
    if not (root / "fashion-mnist" / TRAIN_IMAGES).exists():
        pytest.skip("the real Fashion-MNIST is not here: set D2LEXT_DATA to its folder")
    monkeypatch.setenv("D2LEXT_DATA", str(root))
    return root


def test_registry_names_the_files_that_the_publisher_describes(real_root):
    folder = real_root / "fashion-mnist"
    for name, md5, sha256 in zip(
        fashion_mnist.FILES.sha256, MD5_START, IDX_SHA256, strict=True
    ):
        content = (folder / name).read_bytes()
        assert hashlib.md5(content).hexdigest().startswith(md5)
        assert hashlib.sha256(gzip.decompress(content)).hexdigest() == sha256
        assert hashlib.sha256(content).hexdigest() == fashion_mnist.FILES.sha256[name]


def test_real_images(real_root, capsys):
    source = fashion_mnist.load()
    assert source.origin == "real"
    assert source.train_images.shape == (60_000, 28, 28)
    assert source.test_images.shape == (10_000, 28, 28)
    assert {array.dtype for array in source[:4]} == {np.dtype(np.uint8)}
    assert np.bincount(source.train_labels).tolist() == [6000] * 10
    assert np.bincount(source.test_labels).tolist() == [1000] * 10
    assert capsys.readouterr().out == ""


def test_labels_are_in_the_order_of_the_publisher():
    described = """T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker,
        Bag, Ankle boot"""  # its README, labels 0 to 9
    words = [" ".join(label.lower().split()) for label in described.split(",")]
    assert words[0].startswith(fashion_mnist.LABELS[0])
    assert words[1:] == fashion_mnist.LABELS[1:]


def test_folder_may_be_relative(real_root, monkeypatch):
    monkeypatch.chdir(real_root.parent)
    monkeypatch.setenv("D2LEXT_DATA", real_root.name)
    assert fashion_mnist.load().origin == "real"


def test_arrays_are_shared_and_read_only(real_root):
    assert fashion_mnist.load().train_images is fashion_mnist.load().train_images
    with pytest.raises(ValueError, match="read-only"):
        fashion_mnist.load().train_images[0] = 0
