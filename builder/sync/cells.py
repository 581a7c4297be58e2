"""A chapter's text with some cells changed and every other byte kept."""

import json
import re

from builder.source.chapter import Cell, Chapter
from builder.source.front import FRONT

BREAK = re.compile(r"^\+\+\+(.*)\n", re.MULTILINE)
FENCE = re.compile(r"^[`~]{3,}\{code-cell\}.*\n", re.MULTILINE)
TAGS = re.compile(r"^(:?tags:)([ \n:]*\[[^]]*\]|.*(\n:? *- .*)*)", re.MULTILINE)


def edited(chapter: Chapter, wanted: list[tuple[int | None, Cell]]) -> str:
    """The text of `chapter` with the cells `wanted`, each with its old number.

    A new one has None.
    """
    result, around, rest = _cut(chapter)
    kind, following = "", 0
    for number, cell in wanted:
        is_code = cell.kind == "code"
        new = ("\n```{code-cell}\n", "```\n") if is_code else ("\n", "")
        lead, tail = new if number is None else around[number]
        tags = () if number is None else chapter.lecture[number].tags
        if sorted(cell.tags) != sorted(tags):
            lead = (_tagged_code if is_code else _tagged_prose)(lead, cell.tags)
        if cell.kind == kind == "markdown" and not BREAK.search(lead):
            lead = "\n+++\n\n"
        if number != following:
            lead = ("\n" if result else "") + lead.lstrip("\n")
        result += f"{lead}{cell.source}\n{tail}"
        kind, following = cell.kind, -1 if number is None else number + 1
    return (result + rest).removesuffix("\n")


def _cut(chapter):
    """The text before all cells, that before and after each, and that after all."""
    lines = [f"{line}\n" for line in chapter.text.split("\n")]
    front = FRONT.match(chapter.text)
    place = first = front[0].count("\n") + 1 if front else 0
    around = []
    for cell in chapter.lecture:
        start = cell.line - 1
        end = after = start + cell.source.count("\n") + 1
        if "".join(lines[start:end]) != f"{cell.source}\n":
            problem = (
                "this cell differs from what was read: save the file and try again"
            )
            if not cell.source:
                problem = (
                    "the code cell that ends here is empty: write code, or delete it"
                )
            raise chapter.error(start + 1, problem)
        if cell.kind == "code":
            while not re.fullmatch(r"(`{3,}|~{3,})\s*", lines[after]):
                after += 1
            after += 1
        around.append(("".join(lines[place:start]), "".join(lines[end:after])))
        place = after
    return "".join(lines[:first]), around, "".join(lines[place:])


def _tagged_prose(lead, tags):
    """The text before a cell of prose, with new `tags`."""
    if not BREAK.search(lead):
        lead = "\n+++\n\n"
    *_, last = BREAK.finditer(lead)
    options = json.loads(last[1].strip() or "{}") | {"tags": list(tags)}
    if not tags:
        del options["tags"]
    text = f" {json.dumps(options, ensure_ascii=False)}" if options else ""
    return f"{lead[: last.start()]}+++{text}\n{lead[last.end() :]}"


def _tagged_code(lead, tags):
    """The text before the code of a cell, with new `tags`."""
    new = f"[{', '.join(tags)}]"
    if found := TAGS.search(lead):
        if tags:
            return f"{lead[: found.start()]}{found[1]} {new}{lead[found.end() :]}"
        rest = lead[found.end() :].partition("\n")[2]
        return (lead[: found.start()] + rest).replace("---\n---\n", "")
    *_, match = FENCE.finditer(lead)
    fence, options = lead[: match.end()], lead[match.end() :]
    if options.startswith(":"):
        return f"{fence}:tags: {new}\n{options}"
    if options.startswith("---\n"):
        return f"{fence}---\ntags: {new}\n{options[4:]}"
    return f"{fence}---\ntags: {new}\n---\n{options}"
