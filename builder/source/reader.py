"""Reads a chapter: its cells with their lines, tags and options.

Errors within one chapter are raised here, so that the rest of the builder can rely on it;
those that need the whole book are raised in `book`.
"""

import re
from functools import lru_cache
from pathlib import Path

from jupytext import myst
from nbformat import NotebookNode

from builder.errors import chapter_error
from builder.source import prose, python, syntax
from builder.source.chapter import Cell, Chapter


def read(path: Path, root: Path) -> Chapter:
    """The chapter in the file `path`; raises BookError where it breaks a rule."""
    chapter = parse(path.read_text(encoding="utf-8"), path.relative_to(root))
    prose.check(chapter, path.parent)
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
    syntax.check(shown_path, text)
    notebook = myst.myst_to_notebook(text, add_source_map=True)
    lines = text.splitlines()
    cells = []
    starts = notebook.metadata["source_map"]
    for node, start in zip(notebook.cells, starts, strict=True):
        cells.append(_cell(node, _first_line(node, lines, start), shown_path))
        _check_code(cells[-1], shown_path)
    if not re.search(r"^# \S", text, re.MULTILINE):
        raise chapter_error(
            shown_path, 1, "a chapter must begin with a title: `# Title`"
        )
    in_book = tuple(cell for cell in cells if not cell.is_for_lectures)
    return Chapter(shown_path, text, in_book, tuple(cells))


def _first_line(node: NotebookNode, lines: list[str], start: int) -> int:
    """The line number (from 1) of a cell's first line of source."""
    wanted = node.source.splitlines()[0] if node.source else ""
    if node.cell_type == "code" and lines[start : start + 1] == ["---"]:
        start = lines.index("---", start + 1) + 1
    while start < len(lines) and lines[start] != wanted:
        start += 1
    return start + 1


def _cell(node: NotebookNode, line: int, path: Path) -> Cell:
    options = node.metadata
    tags, alt = tuple(options.get("tags", ())), options.get("alt", "")
    lines = None
    if "lines" in options:
        first, last = map(int, options["lines"].split("-"))
        lines = first, last
        if not first <= last <= len(node.source.splitlines()):
            message = f"lines: the cell has no lines {options['lines']}"
            raise chapter_error(path, line, message)
    cell = Cell(node.cell_type, node.source, line, tags, alt=alt, lines=lines)
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
    try:
        python.parse(cell.source)
    except SyntaxError as error:
        line = cell.line + (error.lineno or 1) - 1
        raise chapter_error(path, line, f"not valid Python: {error.msg}") from error
