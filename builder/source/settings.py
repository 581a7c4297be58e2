"""The book's settings, chapters/book.toml: title, author, year, and what is optional."""

import re
import tomllib
from pathlib import Path
from typing import Any

from builder import files
from builder.errors import BookError, chapter_error

FILE = Path("chapters", "book.toml")
# How each may be written.
SETTINGS = {
    "title": '"Wide Networks"',
    "author": '"Ada Lovelace and Alan Turing"',
    "year": "2026",
    "byline": '"Ada Lovelace, University of London"',
    "repository": '"https://github.com/owner/name"',
    "branch": '"main"',
    "redirects": '{ "03-old-name" = "02-new-name" }',
}
NEEDED = ("title", "author", "year")
PAGE = re.compile(r"[\w-]+")  # a page's name


def read_settings(root: Path) -> dict[str, Any]:
    """The book's title, author and year, and what else its settings say.

    Raises BookError, with the line, where chapters/book.toml is missing, damaged or wrong.
    """
    path = root / FILE
    if not path.exists():
        raise BookError(
            f"{path} is missing: it names the book's title, author and year"
        )
    text = files.read(path, FILE)
    try:
        settings = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers, brackets without end
        message, _, place = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        raise chapter_error(
            FILE,
            int(line[1]) if line else text.rstrip().count("\n") + 1,
            f"not valid TOML ({message}): each line is a name, =, and a text in quotes or "
            "a number, and each name occurs once",
        ) from error
    for name, value in settings.items():
        _check(name, value, text)
    for name in NEEDED:
        if name not in settings:
            raise BookError(
                f"{FILE} has no {name}: add a line such as {name} = {SETTINGS[name]}"
            )
    return settings


def _check(name: str, value: object, text: str) -> None:
    """Raise BookError, at its line of `text`, unless it is a setting with its type."""
    line = line_of(name, text)
    if name not in SETTINGS:
        raise chapter_error(
            FILE,
            line,
            f"unknown setting {name!r}: choose from {', '.join(SETTINGS)}, or delete it",
        )
    if name == "redirects":
        _check_redirects(value, text)
        return
    is_year = name == "year" and type(value) is int
    if not is_year and not (isinstance(value, str) and value.strip()):
        kind = "a number or a text" if name == "year" else "a text"
        raise chapter_error(
            FILE,
            line,
            f"{name} must be {kind}, got {value!r}: write it as in "
            f"{name} = {SETTINGS[name]}",
        )
    if isinstance(value, str) and re.search(f"[\r\n]|{files.UNSEEN.pattern}", value):
        raise chapter_error(
            FILE, line, f"{name} must be one line of visible text, got {value!r}"
        )


def _check_redirects(value: object, text: str) -> None:
    """Raise BookError unless pages' former names are given with their new ones."""
    is_table = isinstance(value, dict)
    for old, new in (
        value.items() if isinstance(value, dict) else [("redirects", value)]
    ):
        names = [name for name in (old, new) if isinstance(name, str)]
        if not is_table or [*map(PAGE.fullmatch, names)].count(None) or len(names) < 2:
            raise chapter_error(
                FILE,
                line_of(old, text),
                f"a redirect leads from a page's former name to its new one, got {old!r} = "
                f"{new!r}: write both without folder and ending, as in "
                '"03-old-name" = "02-new-name" below a line [redirects]',
            )


def line_of(name: str, text: str) -> int:
    """The line of `text` that sets `name`, or 1."""
    key = rf"^[ \t]*\[*[ \t]*[\"']?{re.escape(name)}\b"
    match = re.search(key, text, re.MULTILINE)
    return text.count("\n", 0, match.start()) + 1 if match else 1
