"""Reads notebook files, and compares them with what they were split from."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from builder import files
from builder.errors import BookError
from builder.notebooks import colab
from builder.source import python

KEY = "d2lext"  # our part of a notebook's metadata
SPLIT_FROM = "split_from"  # in it: the chapter's text, and the cells split from it
IGNORED = "nbval-ignore-output"
Content = tuple[str, str, tuple[str, ...]]  # of a cell: kind, text, tags


def read(path: Path) -> NotebookNode | None:
    """The notebook at `path`, None if there is none; raises BookError if damaged.

    A damaged one may still hold edits, such as both sides of a merge conflict.
    """
    if not path.exists():
        return None
    found: dict[str, Exception] = {}
    try:
        text = path.read_text("utf-8-sig")  # some programs write a byte order mark
        notebook = nbformat.reads(text, as_version=4, capture_validation_error=found)
    except Exception as error:  # nbformat raises many kinds
        found["ValidationError"] = error
    if not found:
        _drop_damaged(notebook.metadata)
        base = split_from(notebook)
        for cell in [*notebook.cells, *(base.cells if base else [])]:
            cell.source = files.unix(cell.source)  # some editors on Windows change it
        return notebook
    [reason, *_] = str(found["ValidationError"]).splitlines() or [""]
    raise BookError(
        f"{'/'.join(path.parts[-3:])} is damaged and cannot be read as a notebook "
        f"({reason[:80]}): restore it, for instance from the repository, or move it away "
        "to have it rebuilt from its chapter"
    ) from found["ValidationError"]


def _drop_damaged(metadata: NotebookNode) -> None:
    """Drop what a bad merge, for instance, has made of our part of the `metadata`."""
    own = metadata.get(KEY)
    if not isinstance(own, dict):
        metadata.pop(KEY, None)
    elif not isinstance(own.get("recorded"), dict):
        own.pop("recorded", None)


def keep_outputs(notebook: NotebookNode, old: NotebookNode | None) -> None:
    """Give each cell the outputs that the same code had in the notebook `old`."""
    if old is None:
        return
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell, old_cell in _pairs(cells, _as_split(old)):
        cell.outputs = old_cell.outputs
        cell.execution_count = old_cell.execution_count
    recorded = old.metadata.get(KEY, {}).get("recorded")
    if cells and recorded is not None:
        notebook.metadata[KEY]["recorded"] = recorded


def _as_split(notebook: NotebookNode) -> list[NotebookNode]:
    """The notebook's code cells, in the order in which they were split from a chapter.

    That is the order of their recording, wherever an author has moved them since.
    """
    base = split_from(notebook)
    places = {cell_id(cell): i for i, cell in enumerate(base.cells)} if base else {}
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return sorted(cells, key=lambda cell: places.get(cell_id(cell), len(places)))


def _pairs(
    new: Sequence[NotebookNode], old: Sequence[NotebookNode]
) -> Iterator[tuple[NotebookNode, NotebookNode]]:
    """Cells with the same code: first those in the same order, then moved ones."""
    now, before = (
        [python.dump_source(cell.source) for cell in cells] for cells in (new, old)
    )
    blocks = SequenceMatcher(None, now, before, False).get_matching_blocks()
    same = {b.a + i: b.b + i for b in blocks for i in range(b.size)}
    moved = defaultdict(list)
    for place in sorted({*range(len(old))} - {*same.values()}):
        moved[before[place]].append(place)
    for place, source in enumerate(now):
        if place not in same and moved[source]:
            same[place] = moved[source].pop(0)
    return ((new[place], old[same[place]]) for place in same)


def cell_id(cell: NotebookNode) -> str | None:
    """A cell's id, which Google Colab keeps in its metadata."""
    return cell.get("id") or cell.metadata.get("id")


def differs(notebook: NotebookNode | None) -> bool:
    """Whether the notebook from a file differs from what it was split from.

    One that does not say what it was split from counts as edited.
    """
    if notebook is None:
        return False
    before = split_from(notebook)
    return before is None or contents(before.cells) != contents(colab.written(notebook))


def split_from(notebook: NotebookNode) -> NotebookNode | None:
    """The chapter's lines and the cells that the notebook was split from, if it says so.

    None where a bad merge, for instance, has damaged them.
    """
    found = notebook.metadata.get(KEY, {}).get(SPLIT_FROM)
    try:
        has_ids = all(isinstance(cell.id, str) for cell in found.cells)
        text = "\n".join(found.chapter)
        good = has_ids and isinstance(text, str) and contents(found.cells)
    except (AttributeError, KeyError, TypeError):
        return None
    return found if good else None


def says_the_same(one: NotebookNode, other: NotebookNode) -> bool:
    """Whether two notebooks differ in nothing but blank lines and empty cells."""
    return _without_blanks(one) == _without_blanks(other)


def _without_blanks(notebook: NotebookNode) -> dict[str, object]:
    cells = [
        {**cell, "source": trimmed(cell.source)}
        for cell in notebook.cells
        if content(cell) or cell.get("outputs")
    ]
    return {**notebook, "cells": cells}


def contents(cells: Iterable[NotebookNode]) -> list[Content]:
    """The contents of all nonempty `cells`."""
    return [found for cell in cells if (found := content(cell))]


def content(cell: NotebookNode) -> Content | None:
    """The kind, text and tags that an author gave a notebook's `cell`; None if empty."""
    text = trimmed(cell.source)
    return (cell.cell_type, text, tuple(sorted(own_tags(cell)))) if text else None


def own_tags(cell: NotebookNode) -> list[str]:
    """The author's tags of a notebook's `cell`, without the one that the build adds."""
    return [tag for tag in cell.metadata.get("tags", []) if tag != IGNORED]


def trimmed(text: str) -> str:
    """A cell's text without surrounding blank lines, which a chapter does not keep."""
    lines = text.rstrip().split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    return "\n".join(lines)


def fingerprint(text: str) -> str:
    """A short hash of `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]
