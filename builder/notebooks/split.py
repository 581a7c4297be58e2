"""A chapter split into the notebook of one framework: plain Markdown and code."""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from builder.errors import BookError
from builder.notebooks import markdown, stale
from builder.notebooks.store import IGNORED, KEY, fingerprint, own_tags
from builder.source.book import Book
from builder.source.chapter import Cell, Chapter
from d2lext.core.frameworks import IDS


def split(book: Book, chapter: Chapter, backend: str) -> NotebookNode:
    """The notebook of `chapter` for `backend`, without outputs.

    Its cells are those of the chapter for `backend`, one for one. In `metadata.d2lext`,
    `code` is the hash of its code now; `recorded` says how the outputs came about,
    including the hash that the code had then; `cells` and `tags` what it was split from.
    """
    cells = []
    for i, cell in enumerate(chapter.cells_for(backend)):
        cell_id = fingerprint(f"{i} {cell.source}")
        metadata = {"tags": tags(cell)} if tags(cell) else {}
        if cell.kind == "markdown":
            source = markdown.plain(cell, chapter, book)
            new = nbformat.v4.new_markdown_cell(source, id=cell_id, metadata=metadata)
        else:
            new = nbformat.v4.new_code_cell(cell.source, id=cell_id, metadata=metadata)
        cells.append(new)
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    try:
        code = stale.code_hash(book.root, backend, sources)
    except FileNotFoundError as error:
        raise _missing(book.root, chapter, backend, error.filename) from error
    return nbformat.v4.new_notebook(
        cells=cells,
        metadata={
            KEY: {
                "generated": f"from {chapter.path.as_posix()} by build.py: edit that file",
                "backend": backend,
                "cells": [f"{cell.id} {fingerprint(cell.source)}" for cell in cells],
                "tags": {c.id: " ".join(own_tags(c)) for c in cells if own_tags(c)},
                "code": code,
            },
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        },
    )


def tags(cell: Cell) -> list[str]:
    """The tags in a notebook of a `cell` of a chapter."""
    own = without_frameworks(cell.tags)
    return [*own, IGNORED] if "train" in own else own


def without_frameworks(tags: tuple[str, ...] | list[str]) -> list[str]:
    """The `tags` of a chapter's cell that its notebooks have, too."""
    return [tag for tag in tags if tag not in IDS]


def _missing(root: Path, chapter: Chapter, backend: str, file: str) -> BookError:
    """The error that the library lacks `file`, which the code for `backend` needs."""
    path = Path(file).relative_to(root)
    is_framework = len(path.with_suffix("").parts) == 2 or path.stem == "__init__"
    name = path.parts[1].removesuffix(".py")
    needed = str(path)
    remedy = "write it with python build.py export if a chapter defines it"
    if is_framework:
        needed = f"the folder d2lext/{name} and its __init__.py"
        remedy = "add them as chapters/authors.md says under Another Framework"
    code = [cell for cell in chapter.cells_for(backend) if cell.kind == "code"]
    named = [c for c in code if re.search(rf"import\b.*\b{name}\b", c.source)]
    own = [cell for cell in code if name in cell.tags]
    line = [*named, *own, *code][0].line
    return chapter.error(
        line,
        f"code for {backend!r} needs {needed}, missing so far: {remedy}, or correct "
        "the name",
    )
