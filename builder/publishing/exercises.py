"""The exercises of a notebook: which of its cells belong to which one.

An exercise is an item of a numbered list in a section `## Exercises`, or in a cell
tagged `exercise`. It ends where the next one begins, or the next heading.
"""

import copy
import re
from dataclasses import dataclass

from markdown_it import MarkdownIt

TITLE = re.compile(r"exercises?", re.IGNORECASE)


@dataclass(frozen=True)
class Exercise:
    """An exercise's number, and its place among all, since numbers may come again."""

    number: int
    place: int


def divided(pairs):
    """Yield (exercise or None, chapter's cell, notebook's cell), a cell for each exercise.

    Of the `pairs` of cells, those whose text asks several exercises become several.
    """
    exercise, inside, count = None, False, 0
    for cell, shown in pairs:
        if cell.kind == "code" or "solution" in cell.tags:
            yield exercise, cell, shown
            continue
        parts = [(exercise, [])]
        for piece in _pieces(shown.source):
            if piece.level is not None:
                was_inside = inside
                if piece.level <= 2:
                    inside = bool(TITLE.fullmatch(piece.title))
                if was_inside or inside:
                    exercise = None
                    parts.append((exercise, []))
            elif piece.number is not None and (inside or "exercise" in cell.tags):
                count += 1
                exercise = Exercise(piece.number, count)
                parts.append((exercise, []))
            parts[-1][1].append(piece.source)
        texts = [(asked, "\n".join(lines).strip("\n")) for asked, lines in parts]
        texts = [(asked, text) for asked, text in texts if text]
        for i, (asked, text) in enumerate(texts):
            part = copy.deepcopy(shown)
            part.source = text if len(texts) > 1 else shown.source
            part.id = f"{shown.id}-{i}" if i else shown.id
            yield asked, cell, part


@dataclass(frozen=True)
class _Piece:
    """A part of a text, up to the next heading or item of a numbered list."""

    source: str
    number: int | None = None  # of the item that it begins with
    level: int | None = None  # of the heading that it begins with
    title: str = ""


def _pieces(text):
    lines, starts, number = text.split("\n"), {0: {}}, None
    tokens = MarkdownIt().parse(text)
    for i, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0:
            title = tokens[i + 1].content.strip()
            starts[token.map[0]] = {"level": int(token.tag[1:]), "title": title}
        elif (
            token.type in ("ordered_list_open", "bullet_list_open") and not token.level
        ):
            number = token.attrs.get("start", 1) if token.tag == "ol" else None
        elif token.type == "list_item_open" and token.level == 1 and number is not None:
            starts[token.map[0]] = {"number": number}
            number += 1
    bounds = [*sorted(starts), len(lines)]
    return [
        _Piece("\n".join(lines[first:end]), **starts[first])
        for first, end in zip(bounds[:-1], bounds[1:], strict=True)
    ]
