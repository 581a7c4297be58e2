"""An error that an author or reader can fix, shown without a traceback."""

from pathlib import Path


class BookError(Exception):
    """What is wrong, where, and what to do about it."""


def chapter_error(path: Path, line: int, message: str) -> BookError:
    """A BookError at a line of a file, such as `chapters/01-densenet.md:41`."""
    return BookError(f"{path}:{line}: {message}")
