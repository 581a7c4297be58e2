"""What the cells of an answer show, in a kernel of its own."""

import nbformat
from nbclient import NotebookClient

BEGIN = "from d2lext.core import grading\ngrading.begin('{}')"
CHECK = "grading.show('1')\ngrading.check('1', '{}')"
CELLS = [
    "print(7)",  # before the answer
    BEGIN.format(1),
    CHECK.format(7),
    "import sys\nprint(7, file=sys.stderr)",
    CHECK.format(7),
    "print('a')\ndisplay(5)\n6",
    CHECK.format("5 6"),  # twice, as students do: it does not read itself
    CHECK.format("5 6"),
    "raise ValueError(8)",
    "8;",
    CHECK.format("5 6"),
    BEGIN.format(2),
    "9",
    CHECK.format("5 6"),
    BEGIN.format(1),
    CHECK.format("5 6"),
    "grading.show('3')",  # whose first cell was deleted
]
RIGHT = [6, 7, 10, 13]


def test_the_cells_between_begin_and_the_next_answer_count():
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, CELLS)])
    NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    failed = [
        i
        for i, cell in enumerate(notebook.cells)
        if any(o.get("ename") == "AssertionError" for o in cell.outputs)
    ]
    checks = [i for i, source in enumerate(CELLS) if "check" in source]
    assert failed == [i for i in checks if i not in RIGHT]
    assert printed(notebook.cells[7]).endswith("the last count: 5 6\n")
    said = "Nothing to check: run the cells of the answer, and show values"
    assert printed(notebook.cells[2]).startswith(said)
    said = 'Nothing to check: run the cell `grading.begin("3")`, then those of the'
    assert printed(notebook.cells[-1]).startswith(said)


def printed(cell):
    """What a cell printed, which a kernel may send in parts."""
    return "".join(o.text for o in cell.outputs if o.output_type == "stream")
