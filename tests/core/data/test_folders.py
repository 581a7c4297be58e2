"""Folders of data: the reader's, with its mistakes, and a cache without rights or room."""

import contextlib
import gzip
import os
import tempfile
from pathlib import Path

import pooch  # noqa: F401  (imported before a test gives up its rights)
import pytest
from shared.publisher import (
    CONTENTS,
    DAMAGES,
    TRAIN_IMAGES,
    check_stand_in,
    load_error,
    start_loader,
    write_files,
)

from d2lext.core.data import fashion_mnist

# The reader's folder.


def test_folder_comes_first(publisher, cache, monkeypatch, tmp_path):
    write_files(tmp_path / "mine" / "fashion-mnist")
    monkeypatch.setenv("D2LEXT_DATA", str(tmp_path / "mine"))
    check_stand_in(fashion_mnist.load())
    assert publisher.requests == []
    assert not cache.exists()


def files_in(folder, change=None):
    """The stand-in files in `folder`, or what `change(name, content)` makes of them."""
    folder.mkdir(parents=True)
    for name, content in CONTENTS.items():
        name, content = change(name, content) if change else (name, content)
        (folder / name).write_bytes(content)


def unzipped(name, content):
    return name.removesuffix(".gz"), gzip.decompress(content)


def zipped_otherwise(name, content):
    return name, gzip.compress(gzip.decompress(content), 1, mtime=1)


LAYOUTS = {
    "torchvision's": ("FashionMNIST/raw", None),
    "torchvision's, unzipped": ("FashionMNIST/raw", unzipped),
    "Keras'": ("datasets/fashion-mnist", None),
    "MXNet's": ("fashion-mnist", zipped_otherwise),
    "unzipped": ("fashion-mnist", unzipped),
    "the files themselves": (".", None),
}


@pytest.mark.parametrize(("folder", "change"), LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_of_other_libraries(
    publisher, cache, monkeypatch, tmp_path, folder, change
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("D2LEXT_DATA", "~/mine")
    files_in(tmp_path / "mine" / folder, change)
    check_stand_in(fashion_mnist.load())
    assert publisher.requests == []


def test_a_damaged_file_that_is_not_compressed(publisher, monkeypatch, tmp_path):
    folder = tmp_path / "FashionMNIST" / "raw"
    files_in(folder, unzipped)
    monkeypatch.setenv("D2LEXT_DATA", str(tmp_path))
    check_stand_in(fashion_mnist.load())
    path = folder / TRAIN_IMAGES.removesuffix(".gz")
    path.write_bytes(path.read_bytes()[:-1])
    message = load_error()
    assert f"{path} must have the SHA-256" in message
    assert "truncated or altered" in message


def remove_all(folder):
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.parent.rmdir()


def folder_for_file(folder):
    (folder / TRAIN_IMAGES).unlink()
    (folder / TRAIN_IMAGES).mkdir()


WRONG_FOLDERS = {
    "missing": (remove_all, "no such folder"),
    "empty-folder": (
        lambda f: [path.unlink() for path in f.iterdir()],
        "without any of them",
    ),
    "without-a-file": (
        lambda f: (f / TRAIN_IMAGES).unlink(),
        f"without {TRAIN_IMAGES}",
    ),
    "folder-for-file": (folder_for_file, "must be a file"),
    **{
        name: (
            lambda f, content=content: (f / TRAIN_IMAGES).write_bytes(content),
            "truncated or altered",
        )
        for name, content in DAMAGES.items()
    },
}


@pytest.mark.parametrize(("spoil", "words"), WRONG_FOLDERS.values(), ids=WRONG_FOLDERS)
def test_wrong_folder(publisher, cache, monkeypatch, tmp_path, capsys, spoil, words):
    folder = tmp_path / "mine" / "fashion-mnist"
    write_files(folder)
    monkeypatch.setenv("D2LEXT_DATA", str(folder.parent))
    check_stand_in(fashion_mnist.load())  # later damage is noticed
    spoil(folder)
    message = load_error()
    assert words in message
    assert str(folder.parent) in message
    assert "unset" in message
    assert TRAIN_IMAGES in message
    # Falls back silently neither on the network nor on synthetic garments.
    assert publisher.requests == []
    assert capsys.readouterr().out == ""


# A cache that cannot be written.


def check_read_only_message(message):
    assert "D2LEXT_CACHE" in message
    assert "D2LEXT_DATA" in message
    assert "must be writable" in message


def test_cache_below_a_file(publisher, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("D2LEXT_CACHE", str(tmp_path / "file" / "cache"))
    message = load_error()
    check_read_only_message(message)
    assert str(tmp_path / "file" / "cache") in message
    assert "Not a directory" in message
    assert publisher.requests == []


@pytest.fixture
def read_only_cache(publisher, monkeypatch):
    """A complete cache, in a folder that a test makes read-only."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "fashion-mnist"
        write_files(folder)
        monkeypatch.setenv("D2LEXT_CACHE", root)
        os.chmod(root, 0o755)
        yield folder


@contextlib.contextmanager
def read_only(folder):
    """Nobody can write to `folder`, not even root, who becomes `nobody` meanwhile."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(PermissionError):
            (folder / "try").write_text("")
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_read_only_cache_with_good_files(read_only_cache, publisher):
    with read_only(read_only_cache):
        check_stand_in(fashion_mnist.load())
    assert publisher.requests == []


@pytest.mark.parametrize("damaged", [None, b"damaged"], ids=["missing", "damaged"])
def test_read_only_cache_without_good_files(read_only_cache, publisher, damaged):
    (read_only_cache / TRAIN_IMAGES).unlink()
    if damaged:
        (read_only_cache / TRAIN_IMAGES).write_bytes(damaged)
    with read_only(read_only_cache):
        message = load_error()
    check_read_only_message(message)
    assert str(read_only_cache) in message
    assert TRAIN_IMAGES in message
    assert publisher.requests == []


def test_cache_without_room(publisher, cache):
    process = start_loader(file_size=1000)
    _, err = process.communicate(timeout=60)
    last = err.splitlines()[-1]
    assert "DataError" in last
    assert str(cache) in last
    assert "D2LEXT_CACHE" in last
    assert os.listdir(cache) == []
