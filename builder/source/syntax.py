"""Splits a chapter's file into cells, and checks fences and the cells' options."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from markdown_it.token import Token

from builder.errors import BookError, chapter_error
from builder.source import parser
from builder.source.chapter import OPTIONS, TAGS
from builder.source.front import YAML_ERRORS
from d2lext.core import frameworks

CODE_CELL = "{code-cell}"


@dataclass
class Part:
    """The source of a cell, whose first line is `line` of the chapter, and its options."""

    kind: str  # "code" or "markdown"
    source: str
    line: int
    options: dict[str, Any] = field(default_factory=dict)


def parts(path: Path, text: str) -> Iterator[Part]:
    """The chapter's cells in order; raises BookError at the first rule that it breaks."""
    lines = text.split("\n")
    begin = 0  # of the text cell that comes next
    options: dict[str, Any] = {}
    for token in parser.blocks().parse(text + "\n"):
        if token.type in ("fence", "colon_fence"):
            check_closed(path, token, line_of(token), lines)
        if token.level or not token.map:
            continue
        first, end = token.map
        if token.type == "front_matter":
            begin = end
        elif token.type == "myst_block_break":
            yield from _text(lines, begin, first, options)
            begin, options = end, _text_options(path, token)
            _check_text_follows(path, token, lines)
        elif token.type == "fence" and token.info.startswith(CODE_CELL):
            yield from _text(lines, begin, first, options)
            begin, options = end, {}
            yield _code(path, token)
    yield from _text(lines, begin, len(lines), options)


def line_of(token: Token) -> int:
    """The first line of the block `token`, counted from 1."""
    assert token.map
    return token.map[0] + 1


def check_closed(path: Path, token: Token, line: int, lines: list[str]) -> None:
    """Raise BookError unless the fence `token`, on `line` of all `lines`, is closed."""
    assert token.map
    height, markup = token.map[1] - token.map[0], re.escape(token.markup)
    closing = "".join(lines[line + height - 2 : line + height - 1])
    is_closed = re.fullmatch(rf"[>\s]*{markup}{token.markup[0]}*\s*", closing)
    # An unclosed fence swallows the next one, up to that one's end.
    swallowed = re.search(rf"^{markup}\{{", token.content, re.MULTILINE)
    if height >= 2 and is_closed and not swallowed:
        return
    remedy = f"end it with a line {token.markup}"
    if swallowed:
        inner = line + 1 + token.content.count("\n", 0, swallowed.start())
        remedy += f", or make it longer than the one inside it, on line {inner}"
    raise chapter_error(path, line, f"this fence is never closed: {remedy}")


def _text(
    lines: list[str], begin: int, end: int, options: dict[str, Any]
) -> Iterator[Part]:
    """The text cell in lines `begin` to `end`, if there is one."""
    while begin < end and not lines[begin].strip():
        begin += 1
    if source := "\n".join(lines[begin:end]).rstrip():
        yield Part("markdown", source, begin + 1, options)


def _code(path: Path, token: Token) -> Part:
    """The code cell at `token`."""
    lines, line = token.content.removesuffix("\n").split("\n"), line_of(token)
    if lines[0].startswith("---"):
        ends = [i for i, text in enumerate(lines) if i and text.startswith("---")]
        count = (ends or [len(lines)])[0] + 1
        written = lines[1 : count - 1]
    else:
        starts = [text.lstrip().startswith(":") for text in lines]
        count = [*starts, False].index(False)
        written = [text.lstrip()[1:] for text in lines[:count]]
    try:
        options = yaml.safe_load("\n".join([*written, ""])) or {}
        detail = "" if isinstance(options, dict) else f"{options!r} is not a mapping"
    except YAML_ERRORS as error:
        detail = " ".join(str(error).split())
    if detail:
        remedy = "as YAML between two lines --- or each after a colon, such as "
        raise _not_valid(path, line, detail, remedy + "`:tags: [torch, export]`")
    _check_options(path, line, options)
    if lines[count + 1 :] and not lines[count].strip():
        count += 1
    return Part("code", "\n".join(lines[count:]), line + 1 + count, options)


def _text_options(path: Path, token: Token) -> dict[str, Any]:
    """The options of the text cell that begins at `token`."""
    try:
        options = json.loads(token.content or "{}")
        detail = "" if isinstance(options, dict) else f"{options!r} is not a mapping"
    except ValueError as error:
        detail = str(error).partition(":")[0]
    line = line_of(token)
    if detail:
        remedy = 'as JSON after it, such as `+++ {"tags": ["torch"]}`'
        raise _not_valid(path, line, detail, remedy)
    _check_options(path, line, options)
    return options


def _not_valid(path: Path, line: int, detail: str, remedy: str) -> BookError:
    return chapter_error(
        path,
        line,
        f"the cell's options are not valid ({detail}): write them {remedy}",
    )


def _check_text_follows(path: Path, token: Token, lines: list[str]) -> None:
    """Raise if a line +++ has options, but no text cell follows."""
    assert token.map is not None
    following = next(filter(str.strip, lines[token.map[1] :]), "+++")
    if token.content.strip() and re.match(
        r"\+\+\+|(`{3,}|~{3,})\{code-cell\}", following
    ):
        raise chapter_error(
            path,
            line_of(token),
            f"the options {token.content.strip()} are for a text cell, but none follows: "
            "write a code cell's options inside it, as in `:tags: [solution]`",
        )


def _check_options(path: Path, line: int, options: dict[str, Any]) -> None:
    """Raise unless the `options` of a cell on `line` are valid."""
    for option in options:
        if option not in OPTIONS:
            raise chapter_error(
                path,
                line,
                f"unknown cell option {option!r}: choose from {', '.join(OPTIONS)}",
            )
    tags, alt = options.get("tags", []), options.get("alt", "")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise chapter_error(
            path, line, f"tags must be a list such as [torch, export], got {tags!r}"
        )
    known = (*frameworks.IDS, *TAGS)
    for tag in tags:
        if tag not in known:
            raise chapter_error(
                path, line, f"unknown tag {tag!r}: choose from {', '.join(known)}"
            )
    if len({*tags}) < len(tags):
        raise chapter_error(
            path, line, f"tags must differ, got {tags!r}: write each of them once"
        )
    if not isinstance(alt, str):
        raise chapter_error(path, line, f"alt must be text, got {alt!r}")
    tolerance = str(options.get("tolerance", "0"))
    if not re.fullmatch(r"(\d+\.?\d*|\.\d+)(e[-+]?\d+)?%?", tolerance):
        raise chapter_error(
            path,
            line,
            f"tolerance must be a number such as 0.5 or 1%, got {tolerance!r}",
        )
    if "tolerance" in options and "expect" not in options:
        raise chapter_error(
            path, line, "tolerance is for the numbers in expect: add that, or remove it"
        )
    lines = str(options.get("lines", "1-1"))
    if not re.fullmatch(r"[1-9]\d*-[1-9]\d*|none", lines):
        raise chapter_error(
            path, line, f"lines must be a range such as 3-9, or none, got {lines!r}"
        )
    if not isinstance(reveal := options.get("reveal", False), bool):
        raise chapter_error(path, line, f"reveal must be true or false, got {reveal!r}")
