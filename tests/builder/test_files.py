"""Files are written as a whole or not at all, by one process at a time."""

import fcntl
import os
import stat
import threading

import pytest

from builder import files
from builder.errors import BookError


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "file"
    assert files.write(path, "old")
    assert not files.write(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BookError, match="No space left.*unchanged"):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_with_other_line_ends_holds_the_same_text(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a\r\nb\r\n")
    assert not files.write(path, "a\nb\n")
    assert not files.write(path, "a\r\nb\r\n")
    assert files.write(path, b"a\nb\n")
    path.write_bytes("é".encode("latin-1"))
    assert files.write(path, "é")
    assert path.read_bytes() == "é".encode()


def test_what_is_no_file_is_told(tmp_path):
    with pytest.raises(BookError, match="could not be written .Is a directory"):
        files.write(tmp_path, "text")
    with pytest.raises(BookError, match="could not be written .* delete the character"):
        files.write(tmp_path / "file", "\ud800")
    with pytest.raises(BookError, match="cannot be read .No such file.*: restore it"):
        files.read_bytes(tmp_path / "missing")


@pytest.mark.parametrize("mode", [0o600, 0o755])
def test_links_and_modes_stay(tmp_path, mode):
    (tmp_path / "elsewhere").mkdir()
    path, link = tmp_path / "elsewhere" / "file", tmp_path / "link"
    path.write_text("old")
    path.chmod(mode)
    link.symlink_to("elsewhere/file")
    assert files.write(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_two_processes_take_turns(tmp_path):
    waiting, entered = threading.Event(), threading.Event()

    def second():
        with files.locked(tmp_path / "lock", waiting.set):
            entered.set()

    with open(tmp_path / "lock", "ab") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(5)
        assert not entered.is_set()
        fcntl.flock(first, fcntl.LOCK_UN)
        assert entered.wait(5)
        thread.join()
