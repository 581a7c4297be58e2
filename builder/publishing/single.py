"""What PDF and EPUB share: the book for one framework, and several made side by side."""

import multiprocessing
import os
import signal
from itertools import groupby

import nbformat

from builder.notebooks.edition import editions
from builder.publishing import tabs
from d2lext.core.machine import processor


def file_name(backend, solutions, ending):
    """Of an edition: both kinds of edition can lie in one folder."""
    return f"{backend}{'' if solutions else '-no-solutions'}.{ending}"


def pages(book, backend, solutions=True):
    """The chapters for readers of `backend`, as notebooks by the page's name."""
    return {
        edition.chapter.stem: with_solutions(tabs.single(edition), solutions)
        for edition in editions(book, backends=[backend])
    }


def with_solutions(notebook, wanted=True):
    """Put a title over each run of cells tagged `solution`, or leave the run out."""
    cells = []
    for is_solution, run in groupby(notebook.cells, _is_solution):
        run = list(run)
        if is_solution and wanted:
            title = nbformat.v4.new_markdown_cell(":::{rubric} Solution\n:::")
            title.id = f"{run[0].id}-title"  # the same in each build
            cells.append(title)
        if wanted or not is_solution:
            cells += run
    notebook.cells = cells
    return notebook


def _is_solution(cell):
    return "solution" in cell.metadata.get("tags", [])


def publish(source, out, make):
    """Move the file that `make()` returns to `out`, made from the folder `source`.

    Nothing happens if what lies at `out` is from `source` as Sphinx last wrote it;
    returns whether something did.
    """
    inputs, stamp = (source / ".inputs").read_text(), source.with_name("published")
    if out.is_file() and stamp.is_file() and stamp.read_text() == inputs:
        return False
    made = make()
    stamp.unlink(missing_ok=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    os.replace(made, out)
    stamp.write_text(inputs)
    return True


def side_by_side(function, tasks):
    """Yield `function(*task)` for each task, from a process for each core.

    The processes end with an exception or an interruption of this one.
    """
    tasks = list(tasks)
    count = min(len(tasks), processor.num_cores())
    if count < 2:
        yield from (function(*task) for task in tasks)
        return
    # Spawned, as a fork copies locks; dying of Ctrl-C without a traceback each.
    context = multiprocessing.get_context("spawn")
    default = (signal.SIGINT, signal.SIG_DFL)
    with context.Pool(count, signal.signal, default) as pool:
        results = [pool.apply_async(function, task) for task in tasks]
        for result in results:
            yield result.get()
