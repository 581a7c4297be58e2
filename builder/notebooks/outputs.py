"""Compares what a notebook's cells show with what their author expects."""

from collections.abc import Iterable

from nbformat import NotebookNode

from builder.errors import BookError
from builder.notebooks.edition import Edition
from builder.source.chapter import Cell


def shown_text(outputs: Iterable[NotebookNode]) -> str:
    """What a cell shows as text: its printed lines and its last value."""
    text = ""
    for output in outputs:
        if output.output_type == "stream" and output.name == "stdout":
            text += output.text  # in chunks that may end within a line
        elif output.output_type == "execute_result":
            text = text and text.rstrip("\n") + "\n"
            text += output.data.get("text/plain", "")
    return text.rstrip("\n")


def differences(edition: Edition) -> list[BookError]:
    """An error for each cell whose recorded output differs from its `expect:`."""
    errors = (check(edition, *pair) for pair in edition.pairs())
    return [error for error in errors if error]


def check(edition: Edition, source: Cell, cell: NotebookNode) -> BookError | None:
    """An error if the output of `cell` differs from the `expect:` of its `source`."""
    expected = source.expect.get(edition.backend)
    if expected is None or cell.cell_type != "code":
        return None
    shown = shown_text(cell.outputs)
    if _words(shown) == _words(expected):
        return None
    return edition.chapter.error(
        source.line,
        f"the {edition.backend} cell's output differs from its `expect:`\n"
        f"  expected: {expected.strip()}\n  shown:    {shown.strip()}\n"
        "Correct the code or the expected output",
    )


def _words(text: str) -> list[list[str]]:
    """The words of each line: white space within a line is ignored."""
    return [line.split() for line in text.strip().splitlines()]
