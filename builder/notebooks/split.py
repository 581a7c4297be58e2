"""A chapter's notebook for one framework: its cells, in plain Markdown and code.

Recorded outputs stay while the code that produced them is the same.
"""

import hashlib
import re
from collections import defaultdict
from pathlib import Path

import nbformat

from builder.notebooks import colab, markdown, stale
from builder import files
from builder.backends import IDS
from builder.errors import BookError

KEY = "d2lext"  # of the notebook's metadata that is ours
IGNORED = "nbval-ignore-output"


def notebook_path(root, chapter, backend):
    """Where the notebook of `chapter` for `backend` lies."""
    return root / "notebooks" / backend / f"{chapter.stem}.ipynb"


def notebook(book, chapter, backend):
    """The notebook of `chapter` for `backend`, with its recorded outputs if any.

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
    result = nbformat.v4.new_notebook(
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
    _keep_outputs(result, notebook_path(book.root, chapter, backend))
    return result


def notebooks(book):
    """All of the book's notebooks: by chapter, by backend."""
    return {
        chapter.stem: {b: notebook(book, chapter, b) for b in IDS}
        for chapter in book.chapters
    }


def tags(cell):
    """The tags in a notebook of a `cell` of a chapter."""
    own = without_frameworks(cell.tags)
    return [*own, IGNORED] if "train" in own else own


def without_frameworks(tags):
    """The `tags` of a chapter's cell that its notebooks have, too."""
    return [tag for tag in tags if tag not in IDS]


def own_tags(cell):
    """The tags of a notebook's `cell` without those that are not the author's."""
    return [tag for tag in cell.metadata.get("tags", []) if tag != IGNORED]


def fingerprint(text):
    """A short text that changes with `text`.

    A cell's id is that of its place and its source in the chapter. `sync` tells by it,
    and by that of the text in the notebook, which of the two has been edited since.
    """
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def trimmed(text):
    """A cell without empty lines around it, which a chapter does not keep."""
    lines = text.rstrip().split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    return "\n".join(lines)


def is_stale(notebook):
    """Whether the notebook must run again: its outputs are from other code."""
    own = notebook.metadata[KEY]
    return own.get("recorded", {}).get("code") != own["code"]


def is_edited(path):
    """Whether the notebook at `path` says other than what it was split from.

    One that was not split from a chapter counts as edited, and so does a damaged one.
    """
    try:
        return _differs(read(path))
    except BookError:
        return True


def _differs(old):
    """As `is_edited`, of the notebook `old` or None."""
    if old is None:
        return False
    if "cells" not in old.metadata.get(KEY, {}):
        return True
    before = [entry.split() for entry in old.metadata[KEY]["cells"]]
    tags_before = old.metadata[KEY].get("tags")  # older notebooks do not say
    # Empty lines around a cell, and cells of nothing else, are no edits.
    cells = [cell for cell in colab.written(old) if cell.source.strip()]
    return len(cells) != len(before) or any(
        was not in (fingerprint(cell.source), fingerprint(trimmed(cell.source)))
        or (
            tags_before is not None
            and sorted(own_tags(cell)) != sorted(tags_before.get(cell_id, "").split())
        )
        for cell, (cell_id, was) in zip(cells, before, strict=True)
    )


def check_unedited(book, chapters, backends):
    """Raise BookError if writing a notebook anew would lose what was edited in it."""
    for chapter in chapters:
        for backend in backends:
            path = notebook_path(book.root, chapter, backend)
            if _differs(read(path)):
                raise BookError(
                    f"{path.relative_to(book.root)} was edited, and is to be written "
                    "anew from its chapter: bring the edits to the chapter with python "
                    f"build.py sync {chapter.name}, undo them, or move the file away"
                )


def write(root, chapter, backend, notebook):
    """Write the notebook; return whether the file changed."""
    text = file_text(root, chapter, backend, notebook)
    return files.write(notebook_path(root, chapter, backend), text)


def file_text(root, chapter, backend, notebook):
    """What the notebook's file holds: with it, what Google Colab needs."""
    return nbformat.writes(colab.prepared(notebook, root, chapter, backend)) + "\n"


def _keep_outputs(notebook, path):
    """Give each cell the outputs that the same code had in the file at `path`."""
    old = read(path)
    if old is None:
        return
    recorded = defaultdict(list)
    for cell in old.cells:
        if cell.cell_type == "code":
            recorded[stale.dump(cell.source)].append(cell)
    for cell in notebook.cells:
        if cell.cell_type == "code" and recorded[stale.dump(cell.source)]:
            old_cell = recorded[stale.dump(cell.source)].pop(0)
            cell.outputs = old_cell.outputs
            cell.execution_count = old_cell.execution_count
    if KEY in old.metadata and "recorded" in old.metadata[KEY]:
        notebook.metadata[KEY]["recorded"] = old.metadata[KEY]["recorded"]


def read(path):
    """The notebook at `path`, None if there is none; raises BookError if damaged.

    What a person wrote may be in it still, such as both sides of a merge conflict.
    """
    if not path.exists():
        return None
    found = {}
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


def _missing(root, chapter, backend, file):
    """The error that the library lacks `file`, which the code for `backend` needs."""
    path = Path(file).relative_to(root)
    is_framework = len(path.with_suffix("").parts) == 2 or path.stem == "__init__"
    name = path.parts[1].removesuffix(".py")
    remedy = "write it with python build.py export if a chapter defines it"
    if is_framework:
        path = f"the folder d2lext/{name} and its __init__.py"
        remedy = "add them as chapters/authors.md says under Another Framework"
    code = [cell for cell in chapter.cells_for(backend) if cell.kind == "code"]
    named = [c for c in code if re.search(rf"import\b.*\b{name}\b", c.source)]
    own = [cell for cell in code if name in cell.tags]
    line = [*named, *own, *code][0].line
    return chapter.error(
        line,
        f"code for {backend!r} needs {path}, missing so far: {remedy}, or correct "
        "the name",
    )
