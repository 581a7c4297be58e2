"""The book's settings, chapters/book.toml: title, author, year, optional repository."""

import tomllib
from pathlib import Path
from typing import Any

from builder.errors import BookError

FILE = Path("chapters", "book.toml")


def read_settings(root: Path) -> dict[str, Any]:
    """The book's title, author and year, and its repository if it has one.

    Raises BookError where chapters/book.toml is missing, damaged or incomplete.
    """
    path = root / FILE
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BookError(
            f"{path} is missing: it names the book's title, author and year"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise BookError(f"{path}: {error}") from error
    for name in ("title", "author", "year"):
        if name not in settings:
            raise BookError(f'{path} has no {name}: add a line such as {name} = "…"')
    return settings
