"""Checks the syntax of a chapter's file: closed fences, valid cell options."""

import re
from pathlib import Path

from jupytext import myst
from markdown_it.token import Token

from builder.errors import BookError, chapter_error
from builder.source.chapter import OPTIONS, TAGS
from builder.source.front import YAML_ERRORS
from d2lext.core import frameworks

# jupytext and its parsers each count positions differently: not fit for messages.
_COUNTED = re.compile(
    r"^\w+ cell \d+ at line \d+ (could not be read: )?|: line 1 column \d+ \(char \d+\)$"
)


def check(path: Path, text: str) -> None:
    """Raise BookError, with the line, at the first rule that the file breaks."""
    lines, breaks = text.splitlines(), set()
    for token in myst.get_parser().parse(text + "\n"):
        if token.type == "myst_block_break":
            breaks.add(_line(token))
            _check_options(path, token)
            _check_text_follows(path, token, lines)
        elif token.type == "fence":
            _check_closed(path, token, lines)
            if token.info.startswith("{code-cell}"):
                _check_options(path, token)
    _check_directives(path, lines, breaks)


def _line(token: Token) -> int:
    assert token.map is not None  # blocks have one
    return token.map[0] + 1


def _check_closed(path: Path, token: Token, lines: list[str]) -> None:
    assert token.map is not None
    first, end = token.map
    closing = lines[end - 1].strip() if end <= len(lines) else ""
    is_closed = re.fullmatch(rf"{re.escape(token.markup)}{token.markup[0]}*", closing)
    # An unclosed fence swallows the next one, up to that one's end.
    swallowed = re.search(rf"^{token.markup}\{{", token.content, re.MULTILINE)
    if end - first < 2 or not is_closed or swallowed:
        raise _unclosed(path, first + 1, token.markup)


def _check_directives(path: Path, lines: list[str], breaks: set[int]) -> None:
    """Check directives between colons, which only Sphinx parses into tokens."""
    opened: list[tuple[str, int]] = []
    inside = []
    for number, line in enumerate(lines, 1):
        if opened and number in breaks:
            inside.append((number, *opened[-1]))
        if match := re.match(r"(:{3,})(\{.*)?\s*$", line):
            if match[2]:
                opened.append((match[1], number))
            elif opened and opened[-1][0] == match[1]:
                opened.pop()
    if opened:
        markup, number = opened[-1]
        raise _unclosed(path, number, markup)
    for number, markup, first in inside:
        raise chapter_error(
            path,
            number,
            f"a cell begins inside the directive of line {first}: close that with a line "
            f"{markup} before this +++",
        )


def _unclosed(path: Path, line: int, markup: str) -> BookError:
    return chapter_error(
        path, line, f"this fence is never closed: end it with a line {markup}"
    )


def _check_text_follows(path: Path, token: Token, lines: list[str]) -> None:
    """Raise if a line +++ has options, but no text cell follows."""
    assert token.map is not None
    following = next(filter(str.strip, lines[token.map[1] :]), "+++")
    if token.content.strip() and re.match(r"\+\+\+|`{3,}\{code-cell\}", following):
        raise chapter_error(
            path,
            _line(token),
            f"the options {token.content.strip()} are for a text cell, but none follows: "
            "write a code cell's options inside it, as in `:tags: [solution]`",
        )


def _check_options(path: Path, token: Token) -> None:
    """Raise unless the options of the cell at `token` are valid."""
    line, options = _line(token), _options(path, token)
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
    lines = str(options.get("lines", "1-1"))
    if not re.fullmatch(r"[1-9]\d*-[1-9]\d*", lines):
        raise chapter_error(
            path, line, f"lines must be a range such as 3-9, got {lines!r}"
        )


def _options(path: Path, token: Token) -> dict[str, object]:
    """The options of the cell that begins at `token`."""
    remedy = 'as JSON after it, such as `+++ {"tags": ["torch"]}`'
    if token.type == "fence":
        remedy = "as YAML between two lines --- or each after a colon, such as "
        remedy += "`:tags: [torch, export]`"
    try:
        if token.type == "fence":
            options, _ = myst.read_fenced_cell(token, 0, "Code")
        else:
            options = myst.read_cell_metadata(token, 0)
        if isinstance(options, dict):
            return options
        detail = f"{options!r} is not a mapping"
    except (myst.MystMetadataParsingError, *YAML_ERRORS) as error:
        detail = _COUNTED.sub("", " ".join(str(error).split()))
    raise chapter_error(
        path,
        _line(token),
        f"the cell's options are not valid ({detail}): write them {remedy}",
    )
