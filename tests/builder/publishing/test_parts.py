"""What the site has of each chapter is made again only where something has changed."""

import pytest

from builder.publishing import parts
from builder.source.book import Book

CHAPTER = (
    "# {name}\n\nProse.\n\n(sec-{name})=\n## Section\n\nSee {{numref}}`sec-two`.\n"
)
EDITS = {
    "prose": ("Prose.", "Other prose.\n\nMore of it.", ["01-one"]),
    "a title that others show": ("## Section", "## Part", ["01-one", "02-two"]),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_makes_the_parts_that_it_changes(tmp_path, root, monkeypatch, edit):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "d2lext").symlink_to(root / "d2lext")
    for number, name in enumerate(("one", "two"), 1):
        path = tmp_path / "chapters" / f"0{number}-{name}.md"
        path.write_text(CHAPTER.format(name=name))
    made = []
    make = parts._of_chapter

    def counted(book, chapter):
        made.append(chapter.stem)
        return make(book, chapter)

    monkeypatch.setattr(parts, "_of_chapter", counted)
    folder = tmp_path / "parts"
    first = parts.of_book(Book(tmp_path), folder)
    assert parts.of_book(Book(tmp_path), folder) == first
    assert made == ["01-one", "02-two"]
    old, new, wanted = EDITS[edit]
    path = tmp_path / "chapters" / "01-one.md"
    path.write_text(path.read_text().replace(old, new))
    made.clear()
    second = parts.of_book(Book(tmp_path), folder)
    assert made == wanted
    assert new.partition("\n")[0] in second["01-one"].page


def test_the_recording_of_a_renamed_chapter_counts(copy, tmp_path):
    (copy.root / "chapters" / "01-tiny.md").rename(copy.root / "chapters" / "01-new.md")
    first = parts.of_book(copy.book, tmp_path / "parts")["01-new"].offered["torch"]
    path = copy.path("torch")
    assert '"42"' in path.read_text("utf-8")
    path.write_text(path.read_text("utf-8").replace('"42"', '"43"'), "utf-8")
    second = parts.of_book(copy.book, tmp_path / "parts")["01-new"].offered["torch"]
    assert '"42"' in first
    assert '"43"' in second
