"""One notebook of the whole chapter for the site, from those of the four frameworks.

What differs between frameworks becomes consecutive cells with a tag `tab-<backend>`;
`sphinx_tabs` makes tabs of them.
"""

import nbformat

from builder.notebooks.edition import editions
from d2lext.core.frameworks import IDS


def merged(editions):
    """The notebook of one chapter in MyST, with the outputs of its `editions`."""
    recorded = {e.backend: (shown for _, shown in e.pairs()) for e in editions}
    cells = []
    for i, cell in enumerate(editions[0].chapter.cells):
        own = {b: next(recorded[b]) for b in cell.backends if b in recorded}
        for backend in _tabs(cell, own):
            result = own.get(backend) or next(iter(own.values()), None)
            cells.append(_cell(i, cell, backend, result))
    return of_cells(cells)


def single(edition):
    """As `merged`, for readers of one framework: without tabs."""
    return of_cells(
        _cell(i, cell, None, result) for i, (cell, result) in enumerate(edition.pairs())
    )


def pages(book):
    """The merged notebook of each chapter, by the page's name."""
    return {
        chapter.stem: merged(list(editions(book, [chapter])))
        for chapter in book.chapters
    }


def of_cells(cells):
    """A notebook of `cells`, for Sphinx to read."""
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return nbformat.v4.new_notebook(cells=list(cells), metadata=metadata)


def _cell(i, cell, backend, result):
    """The chapter's cell number `i` with what `result` shows, in a tab of `backend`'s."""
    tags = [tag for tag in cell.tags if tag not in IDS]
    if backend:
        tags.append(f"tab-{backend}")
    cell_id, metadata = f"cell-{i}-{backend or 'all'}", {"tags": tags}
    if cell.kind == "markdown":
        text = _wrapped(cell, backend)
        return nbformat.v4.new_markdown_cell(text, id=cell_id, metadata=metadata)
    if cell.alt:
        metadata["mystnb"] = {"image": {"alt": cell.alt}}
    return nbformat.v4.new_code_cell(
        cell.source,
        id=cell_id,
        metadata=metadata,
        outputs=result.outputs if result else [],
        execution_count=result.execution_count if result else None,
    )


def _tabs(cell, own):
    """The backends that show a cell each in its own tab, or [None]: one for all."""
    if not cell.for_all:
        return cell.backends
    shown = [_without_counts(result) for result in own.values()]
    same = all(outputs == shown[0] for outputs in shown)
    return [None] if cell.kind == "markdown" or same else list(own)


def _without_counts(result):
    outputs = [dict(output) for output in result.get("outputs", [])]
    for output in outputs:
        output.pop("execution_count", None)
    return outputs


def _wrapped(cell, backend):
    """A prose cell's text, in a container of the classes that `sphinx_tabs` looks for."""
    classes = [f"tab-{backend}"] if backend else []
    classes += ["solution"] if "solution" in cell.tags else []
    if not classes:
        return cell.source
    return f"::::::{{container}} {' '.join(classes)}\n{cell.source}\n::::::"
