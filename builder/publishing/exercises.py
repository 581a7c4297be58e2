"""The exercises of a notebook: which cells belong to which exercise.

An exercise is an item of a numbered list in a section `## Exercises`, or in a cell
tagged `exercise`. It ends at the next exercise or heading.
"""

import copy
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from markdown_it.token import Token
from nbformat import NotebookNode

from builder.source import parser
from builder.source.chapter import Cell

TITLE = re.compile(r"exercises?", re.IGNORECASE)


@dataclass(frozen=True)
class Exercise:
    """An exercise's number, and its place among all, because numbers may repeat."""

    number: int
    place: int


def divided(
    pairs: Iterable[tuple[Cell, NotebookNode]],
) -> Iterator[tuple[Exercise | None, Cell, NotebookNode]]:
    """Yield (exercise or None, chapter's cell, notebook's cell) of the `pairs` of cells.

    A cell whose text poses several exercises is divided: each gets its own cell.
    """
    exercise: Exercise | None = None
    is_inside, count = False, 0  # in a section of exercises; how many so far
    for cell, recorded in pairs:
        if cell.kind == "code" or "solution" in cell.tags:
            yield exercise, cell, recorded
            continue
        parts: list[tuple[Exercise | None, list[str]]] = [(exercise, [])]
        for piece in _pieces(recorded.source):
            if piece.level is not None:
                was_inside = is_inside
                if piece.level <= 2:
                    is_inside = bool(TITLE.fullmatch(piece.title))
                if was_inside or is_inside:
                    exercise = None
                    parts.append((exercise, []))
            elif piece.number is not None and (is_inside or "exercise" in cell.tags):
                count += 1
                exercise = Exercise(piece.number, count)
                parts.append((exercise, []))
            parts[-1][1].append(piece.source)
        texts = [(posed, "\n".join(lines).strip("\n")) for posed, lines in parts]
        texts = [(posed, text) for posed, text in texts if text]
        for i, (posed, text) in enumerate(texts):
            part = copy.deepcopy(recorded)
            part.source = text if len(texts) > 1 else recorded.source
            part.id = f"{recorded.id}-{i}" if i else recorded.id
            yield posed, cell, part


@dataclass(frozen=True)
class _Piece:
    """A part of a text, up to the next heading or item of a numbered list."""

    source: str
    number: int | None = None  # of the item that it starts with
    level: int | None = None  # of the heading that it starts with
    title: str = ""


def _pieces(text: str) -> list[_Piece]:
    starts: dict[int, dict[str, Any]] = {0: {}}  # line: what a piece starts with
    number: int | None = None
    tokens = parser.prose().parse(text)
    for i, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0:
            title = tokens[i + 1].content.strip()
            starts[_line(token)] = {"level": int(token.tag[1:]), "title": title}
        elif (
            token.type in ("ordered_list_open", "bullet_list_open") and not token.level
        ):
            number = int(token.attrs.get("start", 1)) if token.tag == "ol" else None
        elif token.type == "list_item_open" and token.level == 1 and number is not None:
            starts[_line(token)] = {"number": number}
            number += 1
    lines = text.split("\n")
    bounds = [*sorted(starts), len(lines)]
    return [
        _Piece("\n".join(lines[first:end]), **starts[first])
        for first, end in zip(bounds[:-1], bounds[1:], strict=True)
    ]


def _line(token: Token) -> int:
    assert token.map  # tokens of blocks have it
    return token.map[0]
