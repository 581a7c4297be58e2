"""Whether a chapter with the edits of notebooks says what was meant.

Each function yields what is wrong: a line of the chapter as it was split, and a message.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

from builder.errors import BookError
from builder.source.chapter import Cell, Chapter
from builder.source.prose import Prose

Problems = Iterator[tuple[int, str]]


def stay_whole(path: Path, wanted: Iterable[Cell], edited: Iterable[Cell]) -> None:
    """Raise BookError unless the `edited` text of a chapter has the `wanted` cells."""
    for pair in zip_longest(wanted, edited):
        one, two = (c and (c.kind, c.source, sorted(c.tags)) for c in pair)
        if one != two:
            source = next(cell.source for cell in pair if cell)
            raise BookError(
                f"{path}: an edited cell would not stay one cell, so nothing was "
                f"changed: make this edit there\n{source}"
            )


def lost_or_doubled(
    old: Iterable[Cell],
    now: Iterable[Cell],
    edited: Iterable[Cell],
    result: Iterable[Cell],
    paths: str,
) -> Problems:
    """Cells that both sides moved, to different places, or moved and deleted."""
    befores, nows, theirs, merged = (
        Counter(cell.source for cell in cells) for cells in (old, now, edited, result)
    )
    for cell in old:
        source = cell.source
        expected = nows[source] + theirs[source] - befores[source]
        if merged[source] != max(0, expected):
            yield (
                cell.line,
                "this cell was moved or deleted here and, differently, in "
                f"{paths}: make them equal, or undo one",
            )


def other_frameworks(
    edits: Iterable[tuple[Cell, Cell]], result: Collection[Cell], paths: str
) -> Problems:
    """Cells before and after an edit that are for other frameworks in the `result`."""
    for before, cell in edits:
        same = [other for other in result if other.source == cell.source]
        if same and all(other.backends != cell.backends for other in same):
            yield (
                before.line,
                f"this cell is for other frameworks here since {paths} was split: "
                "make this edit here",
            )


def pasted_references(
    old: Chapter, edited: str, shown: Callable[[str], str], paths: str
) -> Problems:
    """References that were cut from one cell and pasted, as text, into another one."""
    roles, left = (
        Counter(role.written for role in Prose(text).of("role"))
        for text in (old.text, edited)
    )
    for role in roles - left:
        text = shown(role)
        if text and edited.count(text) > old.text.count(text):
            yield (
                old.text.count("\n", 0, old.text.index(role)) + 1,
                f"{text} in {paths} was generated from {role}, and would be plain "
                f"text where it was pasted: write {role} there",
            )
