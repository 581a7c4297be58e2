"""Reads a chapter: its cells with their lines, tags and options.

Errors within one chapter are raised here, so that the rest of the builder can rely on it;
those that need the whole book are raised in `book`.
"""

import ast
import re
from functools import lru_cache
from pathlib import Path

from builder import files
from builder.errors import chapter_error
from builder.source import front, python, rules, syntax
from builder.source.chapter import Cell, Chapter


def read(path: Path, root: Path) -> Chapter:
    """The chapter in the file `path`; raises BookError where it breaks a rule."""
    shown = path.relative_to(root)
    chapter = parse(files.read(path, shown), shown)
    rules.check(chapter, path.parent)
    return chapter


@lru_cache(maxsize=128)  # `serve` reads the whole book after each edit of a chapter
def parse(text: str, shown_path: Path) -> Chapter:
    """The chapter with this `text`, called `shown_path` in messages; raises BookError.

    Whether its images exist is checked only by `read`.
    """
    if not re.fullmatch(r"\d\d-[a-z0-9-]+", shown_path.stem):
        raise chapter_error(
            shown_path, 1, "a chapter must be named NN-name.md, such as 01-densenet.md"
        )
    files.check_text(text, shown_path)
    card = front.read(text, shown_path)
    cells = []
    for part in syntax.parts(shown_path, text):
        cells.append(_cell(part, shown_path))
        _check_code(cells[-1], shown_path)
    in_book = tuple(cell for cell in cells if not cell.is_for_lectures)
    chapter = Chapter(shown_path, text, in_book, tuple(cells), card)
    if not chapter.title:
        raise chapter_error(
            shown_path, 1, "a chapter must begin with a title: `# Title`"
        )
    return chapter


def _cell(part: syntax.Part, path: Path) -> Cell:
    options, line = part.options, part.line
    tags, alt = tuple(options.get("tags", ())), options.get("alt", "")
    lines = None
    if options.get("lines") == "none":
        lines = 1, 0
    elif "lines" in options:
        first, last = map(int, options["lines"].split("-"))
        lines = first, last
        if not first <= last <= len(part.source.splitlines()):
            message = f"lines: the cell has no lines {options['lines']}"
            raise chapter_error(path, line, message)
    cell = Cell(
        part.kind,
        part.source,
        line,
        tags,
        tolerance=str(options.get("tolerance", "")),
        alt=alt,
        lines=lines,
        reveal=options.get("reveal", False),
    )
    cell.expect.update(_expect(options.get("expect"), cell, path))
    return cell


def _expect(value: object, cell: Cell, path: Path) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        return dict.fromkeys(cell.backends, str(value))
    for backend in value:
        if backend not in cell.backends:
            raise chapter_error(
                path,
                cell.line,
                f"expect names {backend!r}, which this cell is not for: choose from "
                f"{', '.join(cell.backends)}",
            )
    return {backend: str(text) for backend, text in value.items()}


def _check_code(cell: Cell, path: Path) -> None:
    if cell.kind != "code":
        return
    is_exported = "export" in cell.tags
    try:
        (ast.parse if is_exported else python.parse)(cell.source)
    except SyntaxError as error:
        line, message = cell.line + (error.lineno or 1) - 1, "not valid Python"
        if is_exported:
            message = (
                "an exported cell must be plain Python: move IPython's magics and "
            )
            message += "shell commands to a cell without the tag export"
        raise chapter_error(path, line, f"{message} ({error.msg})") from error
