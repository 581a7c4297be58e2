"""The book's settings, chapters/book.toml: title, author, year, perhaps a repository."""

import tomllib
from pathlib import Path

from builder.errors import BookError

FILE = Path("chapters", "book.toml")


def read_settings(root):
    """The book's title, author and year, and its repository if it has an address.

    Raises BookError where chapters/book.toml is missing, damaged or incomplete.
    """
    path = root / FILE
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BookError(
            f"{path} is missing: it names the book's title, author and year"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise BookError(f"{path}: {error}") from error
    for name in ("title", "author", "year"):
        if name not in found:
            raise BookError(f'{path} has no {name}: add a line such as {name} = "…"')
    return found
