"""The last complete build: where its site is, and whether it is still current.

Standard library only, so that a build without changes takes no time.
"""

from pathlib import Path

from builder import files

BOOKS = ("_build/pdf", "_build/epub", "_build/slides")  # which the site offers
SOURCES = (
    *("builder", "chapters", "notebooks", "d2lext", "constraints.txt", "CHANGELOG.md"),
    *BOOKS,
)


def site(root: Path) -> Path:
    """The site's front page."""
    return root / "_build" / "html" / "index.html"


def is_current(root: Path) -> bool:
    """Whether the sources of the site and the notebooks are unchanged since."""
    file = _file(root)
    return site(root).exists() and file.exists() and file.read_text() == _state(root)


def stamp(root: Path) -> None:
    """Record that everything is built from the current sources."""
    files.write(_file(root), _state(root))


def _file(root: Path) -> Path:
    return root / "_build" / "complete"


def _state(root: Path) -> str:
    return files.fingerprint(*(root / name for name in SOURCES))
