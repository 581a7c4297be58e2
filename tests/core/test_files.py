"""Files that appear complete or not at all."""

import os
import stat
import time

import pytest

from d2lext.core.files import ABANDONED_S, replacing


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
