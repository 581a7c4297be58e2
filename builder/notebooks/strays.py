"""Notebooks whose chapter is gone, or has another name now."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from pathlib import Path

from builder.errors import BookError
from builder.notebooks import store
from builder.source.book import Book
from builder.source.chapter import Chapter


def strays(book: Book, folders: Iterable[Path]) -> list[Path]:
    """The notebooks in these `folders` that no chapter of the `book` is called by."""
    stems = {chapter.stem for chapter in book.chapters}
    paths = [path for folder in folders for path in folder.glob("*.ipynb")]
    return sorted(path for path in paths if path.stem not in stems)


def former(book: Book, chapter: Chapter, folder: Path) -> Path | None:
    """The notebook in `folder` that `chapter` had under its former name, if any.

    It was split from mostly the same lines, and from those of no other new chapter more.
    """
    new = [each for each in book.chapters if not _path(folder, each).exists()]
    for path in strays(book, [folder]):
        if "." in path.stem:  # edits that a run has put aside
            continue
        alike = {each.stem: _likeness(path, each) for each in new}
        if alike[chapter.stem] == max(alike.values()) > 0.5:
            return path
    return None


def _path(folder: Path, chapter: Chapter) -> Path:
    return folder / f"{chapter.stem}.ipynb"


def _likeness(path: Path, chapter: Chapter) -> float:
    """The share of lines that a notebook's chapter had in common with `chapter`."""
    try:
        notebook = store.read(path)
    except BookError:  # `check` names it
        return 0
    base = notebook and store.split_from(notebook)
    if not base:
        return 0
    return SequenceMatcher(None, base.chapter, chapter.text.split("\n"), False).ratio()
