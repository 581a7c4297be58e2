"""Chapters that are renamed keep their recordings; notebooks without one are named."""

import shutil

import nbformat
import pytest

from builder.command import check
from builder.command import main as cli
from builder.errors import BookError
from builder.notebooks.edition import check_unedited, editions
from builder.sync import sync
from d2lext.core.frameworks import IDS


@pytest.fixture
def book(copy, monkeypatch):
    monkeypatch.setattr(check, "_findings", lambda root: [])
    monkeypatch.setattr(check, "_exports", lambda book, backends: [])
    monkeypatch.setattr(cli, "ROOT", copy.root)
    return copy


def rename(book, new, old="01-tiny"):
    folder = book.root / "chapters"
    (folder / f"{old}.md").rename(folder / f"{new}.md")


def notebooks(book):
    return {path.name for path in (book.root / "notebooks" / "jax").iterdir()}


@pytest.mark.parametrize("name", ["07-tiny", "01-small", "02-quite-another"])
def test_a_renamed_chapter_keeps_its_recordings(book, name, capsys):
    before = book.notebook("jax").cells
    rename(book, name)
    book.edit("See ", "Look at ", f"chapters/{name}.md")
    assert book.stale() == set()
    assert check.problems(book.root, ["jax"]) == [
        f"notebooks/jax/01-tiny.ipynb is the notebook of chapters/{name}.md now: "
        "python build.py notebooks",
    ]
    assert cli.main(["notebooks"]) == 0
    assert notebooks(book) == {f"{name}.ipynb"}
    assert f"wrote notebooks/jax/{name}.ipynb" in capsys.readouterr().out
    assert check.problems(book.root) == []
    after = book.notebook("jax").cells
    assert [c.get("outputs") for c in before] == [c.get("outputs") for c in after]


def test_an_insertion_renumbers_chapters(book):
    """A new first chapter, which looks much like the one that it moves."""
    rename(book, "02-tiny")
    text = (book.root / "chapters" / "02-tiny.md").read_text()
    new = text.replace("# Tiny", "# New").replace("6 * 7", "6 * 8")
    for word in ("fig-box", "eq-sum"):
        new = new.replace(word, f"{word}-new")
    (book.root / "chapters" / "01-new.md").write_text(new)
    stale = [e.chapter.name for e in editions(book.book) if e.is_stale]
    assert stale == ["new"] * 4
    assert cli.main(["notebooks"]) == 0
    assert notebooks(book) == {"01-new.ipynb", "02-tiny.ipynb"}
    stale = [e.chapter.name for e in editions(book.book) if e.is_stale]
    assert stale == ["new"] * 4


def test_edits_in_the_notebook_of_a_renamed_chapter_are_safe(book):
    path = book.path("torch")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source += "\n\nBy the way."
    nbformat.write(notebook, path)
    rename(book, "05-tiny")
    with pytest.raises(
        BookError, match=r"torch/01-tiny.ipynb was edited, .* sync tiny"
    ):
        check_unedited(editions(book.book))
    sync.sync(book.book, book.book.chapters, IDS)
    assert "By the way." in (book.root / "chapters" / "05-tiny.md").read_text()
    assert cli.main(["notebooks"]) == 0
    assert notebooks(book) == {"05-tiny.ipynb"}


def test_notebooks_without_a_chapter_are_named(book):
    folder = book.path("torch").parent
    shutil.copy(book.path("torch"), folder / "09-gone.ipynb")
    nbformat.write(nbformat.v4.new_notebook(), folder / "Untitled.ipynb")
    (folder / "damaged.ipynb").write_text("<<<<<<<")
    (folder / ".ipynb_checkpoints").mkdir()
    shutil.copy(book.path("torch"), folder / ".ipynb_checkpoints" / "01-tiny.ipynb")
    problems = check.problems(book.root)
    names = ["09-gone", "Untitled", "damaged"]
    assert problems == [
        f"notebooks/torch/{name}.ipynb has no chapter: restore chapters/{name}.md, or "
        "move the notebook elsewhere"
        for name in names
    ]
    assert check.problems(book.root, ["jax"]) == []


def test_edits_put_aside_during_a_run_are_no_notebook_of_a_chapter(book):
    aside = book.path("jax").with_suffix(".edited.ipynb")
    book.path("jax").rename(aside)
    assert book.stale() == {"jax"}
    assert "jax/01-tiny.edited.ipynb has no chapter" in "\n".join(
        check.problems(book.root)
    )
