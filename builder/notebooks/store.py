"""Notebooks as files: read, compared with what they were split from, written."""

import hashlib
from collections import defaultdict
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from builder.errors import BookError
from builder.notebooks import colab
from builder.source import python

KEY = "d2lext"  # of the notebook's metadata that is ours
IGNORED = "nbval-ignore-output"


def read(path: Path) -> NotebookNode | None:
    """The notebook at `path`, None if there is none; raises BookError if damaged.

    What a person wrote may be in it still, such as both sides of a merge conflict.
    """
    if not path.exists():
        return None
    found: dict = {}
    try:
        notebook = nbformat.read(path, as_version=4, capture_validation_error=found)
    except Exception as error:  # nbformat raises whatever it stumbles over
        found["ValidationError"] = error
    if not found:
        return notebook
    [reason, *_] = str(found["ValidationError"]).splitlines() or [""]
    raise BookError(
        f"{'/'.join(path.parts[-3:])} is damaged, no notebook that can be read "
        f"({reason[:80]}): restore it, for instance from the repository, or move it away; "
        "it is written anew where there is none"
    ) from found["ValidationError"]


def keep_outputs(notebook: NotebookNode, old: NotebookNode | None) -> None:
    """Give each cell the outputs that the same code had in the notebook `old`."""
    if old is None:
        return
    recorded = defaultdict(list)
    for cell in old.cells:
        if cell.cell_type == "code":
            recorded[python.dump_source(cell.source)].append(cell)
    for cell in notebook.cells:
        if cell.cell_type == "code" and recorded[python.dump_source(cell.source)]:
            old_cell = recorded[python.dump_source(cell.source)].pop(0)
            cell.outputs = old_cell.outputs
            cell.execution_count = old_cell.execution_count
    if KEY in old.metadata and "recorded" in old.metadata[KEY]:
        notebook.metadata[KEY]["recorded"] = old.metadata[KEY]["recorded"]


def differs(notebook: NotebookNode | None) -> bool:
    """Whether the notebook from a file says other than what it was split from.

    One that was not split from a chapter counts as edited.
    """
    if notebook is None:
        return False
    if "cells" not in notebook.metadata.get(KEY, {}):
        return True
    before = [entry.split() for entry in notebook.metadata[KEY]["cells"]]
    tags_before = notebook.metadata[KEY].get("tags")  # older notebooks do not say
    # Empty lines around a cell, and cells of nothing else, are no edits.
    cells = [cell for cell in colab.written(notebook) if cell.source.strip()]
    return len(cells) != len(before) or any(
        was not in (fingerprint(cell.source), fingerprint(trimmed(cell.source)))
        or (
            tags_before is not None
            and sorted(own_tags(cell)) != sorted(tags_before.get(cell_id, "").split())
        )
        for cell, (cell_id, was) in zip(cells, before, strict=True)
    )


def own_tags(cell: NotebookNode) -> list[str]:
    """The tags of a notebook's `cell` without those that are not the author's."""
    return [tag for tag in cell.metadata.get("tags", []) if tag != IGNORED]


def trimmed(text: str) -> str:
    """A cell without empty lines around it, which a chapter does not keep."""
    lines = text.rstrip().split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    return "\n".join(lines)


def fingerprint(text: str) -> str:
    """A short text that changes with `text`.

    A cell's id is that of its place and its source in the chapter. `sync` tells by it,
    and by that of the text in the notebook, which of the two has been edited since.
    """
    return hashlib.sha256(text.encode()).hexdigest()[:8]
