"""Resized images: what they look like, and the file that keeps them through any failure."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shared import ROOT
from shared.little_room import small_disk, small_files

from d2lext.core import files
from d2lext.core.data import resized as module
from d2lext.core.data.resized import resize, resized

SIZE = (96, 64)  # height, width
IMAGES = np.random.default_rng(0).integers(256, size=(40, 28, 28), dtype=np.uint8)


def by_pillow(images, size=SIZE):
    """Each image at `size` as Pillow makes it, one by one."""
    height, width = size
    return np.stack(
        [
            np.asarray(
                Image.fromarray(i).resize((width, height), Image.Resampling.BILINEAR)
            )
            for i in images
        ]
    )


EXPECTED = by_pillow(IMAGES)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """The folder of the resized images, in this test's cache."""
    monkeypatch.setenv("D2LEXT_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "_in_memory", {})
    return tmp_path / "resized"


@pytest.fixture
def made(folder):
    """The file of IMAGES at SIZE, complete."""
    resized(IMAGES, SIZE)
    [path] = folder.iterdir()
    return path


def no_resize(*_):
    raise AssertionError("the images were resized again")


# The images.


def test_resize_is_bilinear():
    ramp = np.tile(np.arange(28, dtype=np.uint8) * 8, (1, 28, 1))
    larger = resize(ramp, (56, 112))
    assert larger.shape == (1, 56, 112)
    assert larger.dtype == np.uint8
    # Pixel centres: new column j lies at (j + 0.5) / 4 - 0.5 in the old image.
    expected = np.interp((np.arange(112) + 0.5) / 4 - 0.5, np.arange(28), ramp[0, 0])
    assert np.abs(larger - expected).max() <= 0.5 + 1e-9
    assert resize(ramp.transpose(0, 2, 1), (112, 56))[0, :, 0].tolist() == (
        larger[0, 0].tolist()
    )


def test_the_same_size_is_the_identity(folder):
    assert resized(IMAGES, (28, 28)) is IMAGES
    assert not folder.exists()


@pytest.mark.parametrize("at_once", [1000, 7])
def test_images_are_pillows(folder, monkeypatch, at_once):
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    result = resized(IMAGES, SIZE)
    assert result.dtype == np.uint8
    assert np.array_equal(result, EXPECTED)


# The file.


def test_second_call_reads_the_file(made, monkeypatch, capsys):
    monkeypatch.setattr(module, "resize", no_resize)
    assert np.array_equal(resized(IMAGES, list(SIZE)), EXPECTED)
    assert capsys.readouterr().out == ""
    assert made.stat().st_mode & 0o044 == 0o044, "other users may read it"


def test_images_are_mapped_and_read_only(made):
    result = resized(IMAGES, SIZE)
    assert isinstance(result, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        result[0] = 0


def test_other_images_or_another_size_have_another_file(made, folder):
    others = IMAGES.copy()
    others[-1, -1, -1] ^= 1
    assert np.array_equal(resized(others, SIZE), by_pillow(others))
    assert np.array_equal(resized(IMAGES, SIZE[::-1]), by_pillow(IMAGES, SIZE[::-1]))
    # As many bytes in the same order, in images of another shape.
    wide = IMAGES.reshape(40, 14, 56)
    assert np.array_equal(resized(wide, SIZE), by_pillow(wide))
    assert len(list(folder.iterdir())) == 4
    assert np.array_equal(resized(IMAGES, SIZE), EXPECTED)


def npy(array):
    """The bytes of `array` as NumPy's file."""
    path = Path(os.environ["D2LEXT_CACHE"]) / "other.npy"
    np.save(path, array)
    return path.read_bytes()


DAMAGES = {
    "empty": lambda content: b"",
    "without-pixels": lambda content: content[:128],
    "truncated": lambda content: content[:-1],
    "half-a-header": lambda content: content[:20],
    "no-array": lambda content: b"x" * len(content),
    "zip": lambda content: b"PK\x03\x04" + content[4:],
    "spoilt-header": lambda content: content[:15] + b"\0" + content[16:],
    "other-shape": lambda content: npy(EXPECTED[:-1]),
    "other-type": lambda content: npy(EXPECTED.view(np.int8)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_file_is_remade(made, damage, monkeypatch, capsys):
    content = made.read_bytes()
    made.write_bytes(damage(content))
    assert np.array_equal(resized(IMAGES, SIZE), EXPECTED)
    assert made.read_bytes() == content
    assert capsys.readouterr().out == ""


# Several processes, and one that dies.

WORKER = """
import os, signal, sys, time
import numpy as np
from pathlib import Path
from d2lext.core.data import resized
parts, meeting = resized._parts, Path(sys.argv[2])

def _parts(*args):
    for i, part in enumerate(parts(*args)):
        if sys.argv[1] == "killed" and i == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield part
        (meeting / str(os.getpid())).touch()
        while sys.argv[1] == "meets" and len(os.listdir(meeting)) < 2:
            time.sleep(0.01)

resized._parts, resized._AT_ONCE = _parts, 10
images = np.random.default_rng(0).integers(256, size=(40, 28, 28), dtype=np.uint8)
print(resized.resized(images, (96, 64)).astype(np.int64).sum())
"""


def start_worker(how, meeting):
    """Another process that resizes IMAGES and prints the sum of the pixels."""
    meeting.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, how, str(meeting)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_at_once(folder, tmp_path, monkeypatch):
    workers = [start_worker("meets", tmp_path / "meeting") for _ in range(2)]
    for worker in workers:
        out, err = worker.communicate(timeout=60)
        assert (worker.returncode, int(out)) == (0, EXPECTED.sum(dtype=int)), err
    assert len(list(folder.iterdir())) == 1
    monkeypatch.setattr(module, "resize", no_resize)
    assert np.array_equal(resized(IMAGES, SIZE), EXPECTED)


def test_killed_process_leaves_nothing_that_counts(folder, tmp_path, monkeypatch):
    worker = start_worker("killed", tmp_path / "meeting")
    worker.communicate(timeout=60)
    assert worker.returncode == -signal.SIGKILL
    [rest] = folder.iterdir()
    assert rest.suffix == ".part"
    assert np.array_equal(resized(IMAGES, SIZE), EXPECTED)
    # By its age, another process may still be writing it.
    [made] = set(folder.iterdir()) - {rest}
    made.unlink()
    long_ago = time.time() - 2 * files.ABANDONED_S
    os.utime(rest, (long_ago, long_ago))
    resized(IMAGES, SIZE)
    assert list(folder.iterdir()) == [made], "an abandoned file is removed"


# A cache that is full, or not writable.


@pytest.fixture(params=["disk", "limit"])
def little_room(request, folder):
    """The cache holds at most 100 kB: on its disk, or in a file."""
    if request.param == "disk":
        folder.mkdir()
    is_disk = request.param == "disk"
    with small_disk(folder, "100k") if is_disk else small_files(100_000):
        yield


def test_full_disk(little_room, folder, monkeypatch, capsys):
    assert EXPECTED.nbytes > 200_000
    result = resized(IMAGES, SIZE)
    assert np.array_equal(result, EXPECTED)
    said = capsys.readouterr().out
    assert "hold 1 MiB of resized images" in said
    assert str(folder) in said
    assert "No space left" in said or "File too large" in said
    assert "D2LEXT_CACHE" in said
    assert list(folder.iterdir()) == []
    with pytest.raises(ValueError, match="read-only"):
        result[0] = 0
    # The next loader of the same images neither resizes nor warns again.
    monkeypatch.setattr(module, "resize", no_resize)
    assert resized(IMAGES, SIZE) is result
    assert capsys.readouterr().out == ""


def test_memory_holds_few_images(folder):
    folder.write_text("")  # a file where the folder should be
    for i in range(4):
        assert np.array_equal(resized(IMAGES[i:], SIZE), EXPECTED[i:])
    assert [len(a) for a in module._in_memory.values()] == [38, 37]


def test_cache_that_cannot_be_written(folder, made, monkeypatch, capsys):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "open", denied, raising=False)
    assert isinstance(resized(IMAGES, SIZE), np.memmap), "reading is enough"
    assert capsys.readouterr().out == ""
    others = IMAGES[::-1]
    assert np.array_equal(resized(others, SIZE), EXPECTED[::-1])
    assert f"{str(folder)!r} (Permission denied)" in capsys.readouterr().out


def test_interrupted_by_ctrl_c(folder, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        resized(IMAGES, SIZE)
    assert list(folder.iterdir()) == []
