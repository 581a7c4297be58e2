"""A chapter split into the notebook of one framework: plain Markdown and code."""

import re
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from builder.errors import BookError
from builder.notebooks import markdown, stale
from builder.notebooks.store import IGNORED, KEY, SPLIT_FROM, fingerprint
from builder.source.book import Book
from builder.source.chapter import Cell, Chapter
from d2lext.core.frameworks import IDS

KEPT = ("id", "cell_type", "source", "metadata")  # of each cell, for comparison


def split(book: Book, chapter: Chapter, backend: str) -> NotebookNode:
    """The notebook of `chapter` for `backend`, without outputs.

    In `metadata.d2lext`, `code` is the hash of its current code; `recorded` says how its
    outputs were produced, with hashes of the code at the time and of each code cell's
    output; `split_from` is what `sync` compares an edited notebook with.
    """
    own = cells(book, chapter, backend)
    place = 1 + [other.stem for other in book.chapters].index(chapter.stem)
    sources = [cell.source for cell in own if cell.cell_type == "code"]
    try:
        of = None if chapter.is_shared else backend
        code = stale.code_hash(book.root, of, sources)
    except FileNotFoundError as error:
        raise _missing(book.root, chapter, backend, error.filename) from error
    return nbformat.v4.new_notebook(
        cells=own,
        metadata={
            KEY: {
                "generated": f"from {chapter.path.as_posix()} by build.py: edit that file",
                "backend": backend,
                "code": code,
                SPLIT_FROM: {
                    "chapter": chapter.text.split("\n"),
                    "cells": [{key: deepcopy(c[key]) for key in KEPT} for c in own],
                },
            },
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
            # JupyterLab numbers the headings as the book does.
            "toc": {"base_numbering": place, "number_sections": True},
        },
    )


def cells(book: Book, chapter: Chapter, backend: str) -> list[NotebookNode]:
    """The notebook's cells: those of `chapter` for `backend`, one for one."""
    result = []
    for i, cell in enumerate(chapter.cells_for(backend)):
        cell_id = fingerprint(f"{i} {cell.source}")
        metadata = {"tags": tags(cell)} if tags(cell) else {}
        if cell.kind == "markdown":
            source = markdown.plain(cell.prose, chapter, book, backend)
            new = nbformat.v4.new_markdown_cell(source, id=cell_id, metadata=metadata)
        else:
            new = nbformat.v4.new_code_cell(cell.source, id=cell_id, metadata=metadata)
        result.append(new)
    return result


def tags(cell: Cell) -> list[str]:
    """The tags that a chapter's `cell` has in a notebook."""
    own = without_frameworks(cell.tags)
    return [*own, IGNORED] if "train" in own else own


def without_frameworks(tags: tuple[str, ...] | list[str]) -> list[str]:
    """Those `tags` of a chapter's cell that its notebooks keep."""
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
        f"code for {backend!r} needs {needed}, which is missing: {remedy}, or correct "
        "the name",
    )
