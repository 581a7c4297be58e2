"""A chapter's file cut into cells, so that some can change while every other byte stays."""

import json
import re

from d2lext.book.backends import IDS
from d2lext.book.errors import BookError

FRONT = re.compile(r"---\n.*?^---\n", re.DOTALL | re.MULTILINE)


def edited(chapter, text, changed, inserted):
    """The `text` of `chapter`'s file with some cells changed.

    `changed` has the new source by number of the cell, None for one to delete;
    `inserted` has lists of (kind, source, tags) by the number of the cell to be before.
    """
    result = _edited(chapter, text.replace("\r\n", "\n"), changed, inserted)
    if "\r\n" not in text:
        return result
    if text.count("\r\n") != text.count("\n"):
        raise BookError(
            f"{chapter.path} has two kinds of line ends: save it with one of them"
        )
    return result.replace("\n", "\r\n")


def _edited(chapter, text, changed, inserted):
    lines, place = text.split("\n"), 0
    if front := FRONT.match(text):
        place = front[0].count("\n")
    result, last = lines[:place], None  # the kind of the last cell written
    for number, cell in enumerate([*chapter.lecture, None]):
        for kind, source, tags in inserted.get(number, ()):
            result += _new(kind, source, tags, last)
            last = kind
        if cell is None:
            break
        start = cell.line - 1
        end = start + cell.source.count("\n") + 1
        if "\n".join(lines[start:end]) != cell.source:
            raise chapter.error(cell.line, "this cell is empty: delete it")
        after = end if cell.kind == "markdown" else _closing(lines, end) + 1
        lead, tail = lines[place:start], lines[end:after]
        place = after
        if number in changed and changed[number] is None:
            continue
        if cell.kind == "markdown" and last == "markdown" and not _has_break(lead):
            lead = ["", "+++", ""]
        source = changed.get(number, cell.source)
        result += [*lead, *source.split("\n"), *tail]
        last = cell.kind
    return "\n".join(result + lines[place:])


def _closing(lines, place):
    while not re.match(r"(`{3,}|~{3,})\s*$", lines[place]):
        place += 1
    return place


def _has_break(lines):
    return any(line.startswith("+++") for line in lines)


def _new(kind, source, tags, last):
    """The lines of a new cell that follows one of the kind `last`."""
    tags = [*(b for b in IDS if b in tags), *(t for t in tags if t not in IDS)]
    if kind == "markdown":
        options = f" {json.dumps({'tags': tags})}" if tags else ""
        lead = [f"+++{options}", ""] if tags or last == "markdown" else []
        return ["", *lead, *source.split("\n")]
    options = ["---", f"tags: [{', '.join(tags)}]", "---"] if tags else []
    return ["", "```{code-cell}", *options, *source.split("\n"), "```"]
