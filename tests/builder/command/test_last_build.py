"""Whether a build without changes is recognised."""

from builder.command import last_build


def test_only_a_complete_build_without_changes_is_left_alone(tmp_path):
    for folder in ("chapters", "notebooks", "d2lext", "_build/html"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "constraints.txt").write_text("")
    (tmp_path / "chapters" / "01-tiny.md").write_text("# Tiny")
    assert not last_build.is_current(tmp_path)
    last_build.stamp(tmp_path)
    assert not last_build.is_current(tmp_path), "there is no site yet"
    last_build.site(tmp_path).write_text("page")
    assert last_build.is_current(tmp_path)
    (tmp_path / "chapters" / "01-tiny.md").write_text("# Tiny!")
    assert not last_build.is_current(tmp_path)
