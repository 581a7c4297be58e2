"""The book for one framework: its pages, with solutions or without, for PDF and EPUB."""

from collections.abc import Iterable
from itertools import groupby

import nbformat
from nbformat import NotebookNode

from builder.notebooks.edition import Edition
from builder.publishing import tabs


def file_name(backend: str, solutions: bool, ending: str) -> str:
    """The book's file for `backend`; books with and without solutions share a folder."""
    return f"{backend}{'' if solutions else '-no-solutions'}.{ending}"


def pages(own: Iterable[Edition], solutions: bool = True) -> dict[str, NotebookNode]:
    """The chapters in the editions of one framework, as notebooks by the page's name."""
    return {
        edition.chapter.stem: with_solutions(tabs.single(edition), solutions)
        for edition in own
    }


def with_solutions(notebook: NotebookNode, wanted: bool = True) -> NotebookNode:
    """Put a title above each run of cells tagged `solution`, or drop the run."""
    cells = []
    for is_solution, group in groupby(notebook.cells, _is_solution):
        run = list(group)
        if is_solution and wanted:
            title = nbformat.v4.new_markdown_cell(":::{rubric} Solution\n:::")
            title.id = f"{run[0].id}-title"  # the same in each build
            cells.append(title)
        if wanted or not is_solution:
            cells += run
    notebook.cells = cells
    return notebook


def _is_solution(cell: NotebookNode) -> bool:
    return "solution" in cell.metadata.get("tags", [])
