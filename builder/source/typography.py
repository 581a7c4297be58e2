"""The dashes, dots and quotes that readers see for those that authors type.

Docutils' rules decide, on the site as here: they look at all text of a paragraph in a row,
and at what is between, such as formulas and code.
"""

import re
from collections.abc import Iterator
from html import unescape

from docutils.utils.smartquotes import educate_tokens
from markdown_it.token import Token

from builder.source import html

ACTION = "qDe"  # quotes; two or three hyphens as dashes; an ellipsis for three dots
_TYPED = re.compile(r"---|--|\.\.\.|\. \. \.|[\"']")
# A character in Markdown: after a backslash, as an entity, or itself.
_WRITTEN = re.compile(r"\\([!-/:-@\[-`{-~])|(&(?:#\d+|#[xX][\da-fA-F]+|\w+);)|.", re.S)
# Text, and ends whose span is also that of their beginning.
_WITHIN = ("dollar", "link_close", "span_close", "text")
Characters = list[tuple[int, int, str]]  # each with where it is written


def shown(text: str) -> str:
    """The plain `text` as readers see it."""
    return next(_educated([("plain", text)]))


def replacements(block: Token) -> Iterator[tuple[int, int, str]]:
    """Where the content of an inline `block` is typed otherwise than it is shown.

    Each replacement is from where to where, and the character that is shown.
    """
    if not re.search(rf"{_TYPED.pattern}|&", block.content):
        return
    tokens: list[tuple[str, str]] = []
    runs: dict[int, Characters] = {}  # of text, by their token
    place = 0
    for start, end, literal in [*_others(block), (len(block.content), 0, "")]:
        if start > place:
            runs[len(tokens)] = _characters(block.content, place, start)
            tokens.append(("plain", _text(runs[len(tokens)])))
        if literal:
            tokens.append(("literal", literal))
        place = max(place, end)
    for number, result in enumerate(_educated(tokens)):
        if number in runs:
            yield from _changed(runs[number], result)


def _educated(tokens: list[tuple[str, str]]) -> Iterator[str]:
    return educate_tokens(tokens, ACTION, language="en")


def _others(block: Token) -> list[tuple[int, int, str]]:
    """The parts of the `block` that are not text, and what quotes beside them meet."""
    parts = []
    for token in block.children or []:
        if "attributes" in token.meta:
            parts.append((*token.meta["attributes"], ""))
        if "span" not in token.meta or token.type in _WITHIN:
            continue
        start, end = token.meta["span"]
        label = token.meta.get("label", start)
        if token.type in ("link_open", "span_open") and label > start:
            parts += [(start, start + 1, ""), (label, end, "")]
        elif token.type == "link_open" or token.type == "myst_role":
            parts.append((start, end, "x"))
        elif token.type.endswith("break") or html.is_break(token):
            parts.append((start, end, "\n"))
        elif token.type in ("html_inline", "image") or token.nesting:
            parts.append((start, end, ""))
        else:
            parts.append((start, end, token.content))
    return sorted(parts)


def _characters(content: str, start: int, end: int) -> Characters:
    """The characters that are written from `start` to `end`."""
    found = []
    for match in _WRITTEN.finditer(content, start, end):
        written = unescape(match[2]) if match[2] else match[1] or match[0]
        for i, character in enumerate(written):
            found.append((match.end() if i else match.start(), match.end(), character))
    return found


def _text(characters: Characters) -> str:
    return "".join(character for *_, character in characters)


def _changed(characters: Characters, result: str) -> Characters:
    """Those of the `characters` for which the `result` has another one."""
    typed = re.findall(rf"{_TYPED.pattern}|.", _text(characters), re.S)
    if len(typed) != len(result):  # docutils has dropped a backslash
        return []
    changed, place = [], 0
    for old, new in zip(typed, result, strict=True):
        if old != new:
            first, last = characters[place], characters[place + len(old) - 1]
            changed.append((first[0], last[1], new))
        place += len(old)
    return changed
