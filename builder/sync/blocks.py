"""A chapter's file cut into cells, so that some can change while every other byte stays."""

import json
import re
from dataclasses import dataclass

import yaml

from builder.errors import BookError

FRONT = re.compile(r"---\n.*?^---\n", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"(`{3,}|~{3,})(\{code-cell\})?")


@dataclass(frozen=True)
class Block:
    """A cell as it is to be: the chapter's own of that number, or a new one."""

    number: int | None
    kind: str
    source: str
    tags: tuple


def edited(chapter, text, wanted):
    """The `text` of `chapter`'s file with the Blocks `wanted` for its cells."""
    result = _edited(chapter, text.replace("\r\n", "\n"), wanted)
    if "\r\n" not in text:
        return result
    if text.count("\r\n") != text.count("\n"):
        raise BookError(
            f"{chapter.path} has two kinds of line ends: save it with one of them"
        )
    return result.replace("\n", "\r\n")


def _edited(chapter, text, wanted):
    front, around, rest = _cut(chapter, text.split("\n"))
    result, last, following = front, None, 0
    for block in wanted:
        lead, tail = around.get(block.number) or _around_new(block.kind)
        own = chapter.lecture[block.number].tags if block.number is not None else ()
        if sorted(block.tags) != sorted(own):
            retag = _tagged_prose if block.kind == "markdown" else _tagged_code
            lead = retag(lead, block.tags)
        if block.kind == last == "markdown" and not _breaks(lead):
            lead = ["", "+++", ""]
        if block.number != following:
            lead = lead[next((n for n, x in enumerate(lead) if x.strip()), len(lead)) :]
            lead = ["", *lead] if result else lead
            lead += [""] if lead[-1:] and lead[-1].startswith("+++") else []
        result = [*result, *lead, *block.source.split("\n"), *tail]
        last = block.kind
        following = None if block.number is None else block.number + 1
    return "\n".join(result + rest)


def _cut(chapter, lines):
    """The lines before all cells, those around each by its number, and those behind."""
    front = FRONT.match("\n".join(lines))
    place = first = front[0].count("\n") if front else 0
    around = {}
    for number, cell in enumerate(chapter.lecture):
        start = cell.line - 1
        end = after = start + cell.source.count("\n") + 1
        if "\n".join(lines[start:end]) != cell.source:
            raise chapter.error(cell.line, "this cell is empty: delete it")
        if cell.kind == "code":
            while not (FENCE.fullmatch(lines[after].rstrip())):
                after += 1
            after += 1
        around[number] = lines[place:start], lines[end:after]
        place = after
    return lines[:first], around, lines[place:]


def _around_new(kind):
    return (["", "```{code-cell}"], ["```"]) if kind == "code" else ([""], [])


def _breaks(lead):
    return [n for n, line in enumerate(lead) if line.startswith("+++")]


def _tagged_prose(lead, tags):
    """The lines before a cell of prose, with other `tags`."""
    if not _breaks(lead):
        lead = ["", "+++", ""]
    place = _breaks(lead)[-1]
    options = json.loads(lead[place][3:].strip() or "{}") | {"tags": list(tags)}
    if not tags:
        del options["tags"]
    options = f" {json.dumps(options, ensure_ascii=False)}" if options else ""
    return [*lead[:place], f"+++{options}", *lead[place + 1 :]]


def _tagged_code(lead, tags):
    """The lines before the code of a cell, with other `tags`."""
    first = max(n for n, line in enumerate(lead) if FENCE.match(line)) + 1
    colons = bool(lead[first:]) and lead[first].startswith(":")
    if colons:
        end = max(n for n, line in enumerate(lead) if line.startswith(":")) + 1
        options = [line[1:] for line in lead[first:end]]
    elif lead[first : first + 1] == ["---"]:
        end = lead.index("---", first + 1) + 1
        options = lead[first + 1 : end - 1]
    else:
        end, options = first, []
    options = _with_tags("\n".join(options), tags)
    if colons:
        options = [f":{line}" for line in options]
    elif options:
        options = ["---", *options, "---"]
    return [*lead[:first], *options, *lead[end:]]


def _with_tags(options, tags):
    """The lines of YAML `options` with `tags`; all others as they are."""
    new = f"tags: [{', '.join(tags)}]" if tags else ""
    for key, value in getattr(yaml.compose(options), "value", ()):
        if key.value == "tags":
            last = value if value.flow_style or not value.value else value.value[-1]
            start, end = key.start_mark.index, last.end_mark.index
            options = options[:start] + new + options[end:]
            return [line for line in options.split("\n") if tags or line.strip()]
    return [new, *options.split("\n")] if options else [new] if new else []
