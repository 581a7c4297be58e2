"""A chapter's page: one notebook made of its editions, with tabs, or of a single one.

What differs between frameworks becomes consecutive cells with a tag `tab-<backend>`;
`sphinxext.tabs` turns them into tabs.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import nbformat
from nbformat import NotebookNode

from builder.notebooks.edition import Edition
from builder.notebooks.fallback import readable
from builder.publishing import about, sphinx_source
from builder.source.chapter import Cell
from builder.source.labels import kind_of
from d2lext.core.frameworks import IDS


def merged(editions: Sequence[Edition]) -> NotebookNode:
    """The notebook of one chapter in MyST, with the outputs of its `editions`."""
    recorded = {e.backend: (cell for _, cell in e.pairs()) for e in editions}
    cells = []
    for i, cell in enumerate(editions[0].chapter.cells):
        results = {b: next(recorded[b]) for b in cell.backends if b in recorded}
        for backend in _tabs(cell, results):
            result = results.get(backend) or next(iter(results.values()), None)
            cells.append(_cell(i, cell, backend, result))
    return _page(cells, editions)


def single(edition: Edition) -> NotebookNode:
    """Like `merged`, but for readers of one framework, without tabs."""
    pairs = enumerate(edition.pairs())
    cells = [_cell(i, cell, "", result) for i, (cell, result) in pairs]
    return _page(cells, [edition])


def _page(cells: list[NotebookNode], editions: Sequence[Edition]) -> NotebookNode:
    """A page of `cells`, with what the front page says of it."""
    page = sphinx_source.notebook(cells)
    page.metadata[about.KEY] = about.of_chapter(editions)
    return page


def _tabs(cell: Cell, results: Mapping[str, NotebookNode]) -> Sequence[str]:
    """The backends that get a tab for the cell, or one empty name for no tabs."""
    if not cell.for_all:
        return cell.backends
    outputs = [
        [{**output, "execution_count": None} for output in result.get("outputs", [])]
        for result in results.values()
    ]
    are_equal = all(each == outputs[0] for each in outputs)
    return [""] if cell.kind == "markdown" or are_equal else list(results)


def _cell(
    i: int, cell: Cell, backend: str, result: NotebookNode | None
) -> NotebookNode:
    """The chapter's cell number `i` with the outputs of `result`, in a tab of `backend`."""
    tab = [f"tab-{backend}"] if backend else []
    cell_id = f"cell-{i}-{backend or 'all'}"
    tags = [tag for tag in cell.tags if tag not in IDS] + tab
    metadata: dict[str, Any] = {"tags": tags}
    if cell.kind == "markdown":
        # For `sphinxext.numbers`.
        metadata["numbers"] = [
            [kind, element.number]
            for element in cell.prose.walk()
            if (kind := kind_of(element))
        ]
        # `sphinxext.tabs` looks for these classes.
        classes = tab + [tag for tag in tags if tag == "solution"]
        text = cell.source
        if classes:
            fence = ":" * max(6, 1 + max(map(len, re.findall(":+", text)), default=0))
            text = f"{fence}{{container}} {' '.join(classes)}\n{text}\n{fence}"
        return nbformat.v4.new_markdown_cell(text, id=cell_id, metadata=metadata)
    if cell.alt:
        metadata["mystnb"] = {"image": {"alt": cell.alt}}
    return nbformat.v4.new_code_cell(
        cell.source,
        id=cell_id,
        metadata=metadata,
        outputs=[*map(readable, result.outputs)] if result else [],
        execution_count=result.execution_count if result else None,
    )
