"""The book's pages beside its chapters, and where pages' former addresses lead."""

from collections.abc import Iterable
from pathlib import Path

from builder import files
from builder.errors import chapter_error
from builder.source.settings import FILE, line_of, read_settings

FRONT = "index"


def added(root: Path) -> list[str]:
    """The pages in chapters/ that are not chapters, such as `authors`, by name."""
    names = {path.stem for path in (root / "chapters").glob("*.md")}
    return sorted(n for n in names if n != FRONT and not n[:1].isdigit())


def moved(root: Path, chapters: Iterable[str]) -> dict[str, str]:
    """The new names of pages by their former ones, in the book of these `chapters`.

    Raises BookError, with the line of chapters/book.toml, where an address would be taken
    twice or lead nowhere.
    """
    if not (root / FILE).is_file():
        return {}
    known = [FRONT, *chapters, *added(root)]
    names = read_settings(root).get("redirects", {})
    for old, new in names.items():
        fault = ""
        if old in known:
            fault = f"the book has a page {old!r}: delete the line, or rename the page"
        elif new in names:
            fault = f"{new!r} has moved, too: write where it is now, {names[new]!r}"
        elif new not in known:
            choice = ", ".join(known)
            fault = (
                f"{old!r} leads to {new!r}, which is not a page: choose from {choice}"
            )
        if fault:
            line = line_of(old, files.read(root / FILE, FILE))
            raise chapter_error(FILE, line, fault)
    return names
