"""Files that appear complete or not at all."""

import os
import stat
import time
from pathlib import Path

import pytest

from d2lext.core.files import ABANDONED_S, named, replacing


def test_a_file_takes_the_place_of_the_old_one_when_it_is_complete(tmp_path):
    path = tmp_path / "text"
    for content in ("old", "new"):
        before = path.read_text() if path.exists() else None
        with replacing(path, "w", encoding="utf-8") as file:
            file.write(content)
            assert (path.read_text() if path.exists() else None) == before
        assert path.read_text() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "text"
    path.write_text("old")
    with pytest.raises(TypeError), replacing(path) as file:
        file.write("no bytes")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "rights"), [(0o022, 0o644), (0o077, 0o600)])
def test_the_umask_decides_on_rights(tmp_path, umask, rights):
    before = os.umask(umask)
    try:
        with replacing(tmp_path / "file") as file:
            file.write(b"content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == rights


def test_a_link_leads_to_the_new_file_which_keeps_its_mode(tmp_path):
    (tmp_path / "disk").mkdir()
    path, link = tmp_path / "disk" / "weights", tmp_path / "weights"
    link.symlink_to(path)
    for content in (b"old", b"new"):  # at first the link leads nowhere
        with replacing(link) as file:
            file.write(content)
        assert link.is_symlink()
        assert path.read_bytes() == content
        path.chmod(0o640)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(path.parent.iterdir()) == [path]


def test_abandoned_parts_are_removed(tmp_path):
    path = tmp_path / "file"
    old, young, other = (
        tmp_path / name for name in (".file.1.part", ".file.2.part", ".another.1.part")
    )
    for part in (old, young, other):
        part.touch()
    for part in (old, other):
        os.utime(part, times=(time.time() - 2 * ABANDONED_S,) * 2)
    with replacing(path):
        assert not old.exists()
    assert sorted(tmp_path.iterdir()) == sorted([other, young, path])
    with replacing(path, abandoned_after_s=0):
        assert not young.exists()


def test_a_missing_folder_is_made(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    with replacing(path) as file:
        file.write(b"content")
    assert path.read_bytes() == b"content"


def test_an_error_names_the_file_that_the_caller_knows(tmp_path):
    path = tmp_path / "weights"
    path.mkdir()
    with pytest.raises(IsADirectoryError) as caught, replacing(path):
        pass
    assert caught.value.filename == str(path)
    assert ".part" not in str(caught.value)
    path = tmp_path / ("a" * 250)  # the longest name has 255 bytes
    with pytest.raises(OSError, match="aaa'$") as caught, replacing(path):
        pass
    assert ".part" not in str(caught.value)


def test_a_path_as_people_write_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert named("~/run.npz") == named(Path("~/run.npz")) == tmp_path / "run.npz"
    for path in ("a/b", "/a/b", "~nobody-at-all.npz", "a~", "a:b", "C:/weights"):
        assert named(path) == Path(path)


@pytest.mark.parametrize(
    ("path", "error", "rule"),
    [
        (
            "~",
            ValueError,
            "be a file, got {home}, but it is a folder: name a file in it",
        ),
        (
            "https://a.org/b.pth",
            ValueError,
            "be .*, got the address https://a.org/b.pth: down",
        ),
        (
            Path("s3://a/b"),
            ValueError,
            "be a file on this machine, got the address s3:",
        ),
        (True, TypeError, "be the path of a file, got bool"),
        (b"weights", TypeError, "be the path of a file, got bytes"),
        (None, TypeError, "be the path of a file, got NoneType"),
    ],
)
def test_a_path_of_no_file(monkeypatch, tmp_path, path, error, rule):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(error, match=f"^checkpoint must {rule.format(home=tmp_path)}"):
        named(path, "checkpoint")
