"""Prose as a tree: what the site's parser finds in a text, and where.

`elements` are all that a plain viewer of Markdown would not show as the site does, that is
numbered, or that refers to something. A directive holds its content as Prose in turn.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from docutils.parsers.rst import Directive, directives
from docutils.parsers.rst.directives import images, tables
from docutils.parsers.rst.directives.admonitions import BaseAdmonition
from docutils.parsers.rst.states import MarkupError
from markdown_it.token import Token
from myst_parser.parsers.directives import parse_directive_text

from builder.source import html, parser, typography


class Remark(BaseAdmonition):
    """A remark: what follows its name is a title of its own, not docutils' first words."""

    optional_arguments = 1


class Figure(images.Figure):
    """A figure; a `script` lets readers change its drawing where pages run scripts."""

    option_spec = {**images.Figure.option_spec, "script": directives.unchanged_required}


REMARKS = ("note", "tip", "warning", "important")
DIRECTIVES: dict[str, type[Directive]] = {
    "figure": Figure,
    "table": tables.RSTTable,
    "bibliography": Directive,  # its options are for Sphinx alone
    **dict.fromkeys(REMARKS, Remark),
}
# Kinds of elements by the tokens of blocks; all are as long as their token's lines.
_BLOCKS = {
    "attrs_block": "attributes",
    "colon_fence": "directive",
    "definition": "definition",
    "dl_open": "definition list",
    "fence": "fence",
    "footnote_reference_open": "footnote",
    "heading_open": "heading",
    "hr": "rule",
    "html_block": "html",
    "list_item_open": "task",
    "math_block": "formula",
    "math_block_label": "equation",
    "myst_block_break": "break",
    "myst_line_comment": "comment",
    "myst_target": "label",
}
_INLINE = {
    "dollar": "dollar",
    "footnote_ref": "footnote",
    "html_inline": "html",
    "image": "image",
    "link_open": "link",
    "math_inline": "formula",
    "math_inline_double": "formula",
    "myst_role": "role",
    "s_open": "struck text",
    "span_open": "span",
}
EMPTY: Mapping[str, Any] = MappingProxyType({})
_TASK = re.compile(r"\[[ xX]\]\s")


@dataclass
class Element:
    """A part of a text, `written` from `start` to `end`, on `line` of its chapter.

    `name` is that of a role or directive; `content` a role's target, a directive's
    argument, an image's file, a link's address, or a heading's text. `labels` are the names
    by which one can refer to a heading, an equation, a figure or a table.
    """

    kind: str
    token: Token
    start: int
    end: int
    line: int
    written: str = ""
    name: str = ""
    content: str = ""
    labels: list[str] = field(default_factory=list)
    level: int = 0  # of a heading
    title: str = ""  # given to a reference, as in {ref}`title <label>`
    number: str = ""  # in the book, if it has one
    label_end: int = 0  # of an image, link or span: where its closing bracket is
    options: dict[str, Any] = field(default_factory=dict)  # of a directive
    caption: "Prose | None" = None  # of a table; the title of a remark
    body: "Prose | None" = None  # of a directive
    fault: str = ""  # what its directive's options or arguments break


class Prose:
    """A `text` whose first line is `line` of its chapter, perhaps inside a directive.

    One that is `in_line`, such as a title, has no blocks. `references` are the addresses
    of links that are defined elsewhere.
    """

    def __init__(
        self,
        text: str,
        line: int = 1,
        *,
        is_inside: bool = False,
        in_line: bool = False,
        references: Mapping[str, Any] = EMPTY,
    ) -> None:
        self.text, self.line, self._is_inside = text, line, is_inside
        self._references = references
        env: dict[str, Any] = {"references": dict(references)}
        if in_line:
            self.tokens = parser.prose().parseInline(text, env)
            starts = [0, *(match.end() for match in re.finditer("\n", text))]
            self.tokens[0].meta["starts"] = starts
        else:
            self.tokens = parser.prose().parse(text + "\n", env)
        attributes: list[Token] = env.get("attributes", [])
        found = [*self._elements(), *map(self._block, attributes)]
        self.elements = sorted(found, key=lambda element: element.start)
        for element in self.elements:
            element.written = text[element.start : element.end]

    def walk(self) -> Iterator[Element]:
        """All elements in order, with those inside of directives."""
        for element in self.elements:
            yield element
            for part in (element.caption, element.body):
                if part:
                    yield from part.walk()

    def of(self, kind: str) -> list[Element]:
        """All elements of this `kind`, in order."""
        return [element for element in self.walk() if element.kind == kind]

    def source(self, element: Element) -> str:
        """The lines of the block `element`, without the lists and quotes around it."""
        starts = element.token.meta["starts"]
        return "\n".join(self.text[start:].partition("\n")[0] for start in starts)

    @cached_property
    def paragraph(self) -> str:
        """The text of the paragraph that it begins with, such as a figure's caption."""
        first = [token for token in self.tokens if token.type != "myst_line_comment"]
        if not first or first[0].type != "paragraph_open":
            return ""
        return first[1].content

    def _elements(self) -> Iterator[Element]:
        labels: list[str] = []
        for place, token in enumerate(self.tokens):
            if token.type == "inline":
                heading = self.tokens[place - 1] if place else None
                yield from self._parts(token, heading)
            elif self._is_element(place):
                element = self._block(token)
                if element.kind == "heading":
                    inline = self.tokens[place + 1]
                    element.content = " ".join(inline.content.split("\n"))
                # Labels are for a heading or directive right after them.
                if element.kind == "label":
                    labels = [*labels, *element.labels]
                elif element.kind in ("heading", "directive"):
                    element.labels, labels = [*labels, *element.labels], []
                else:
                    labels = []
                yield element
            else:
                labels = []

    def _is_element(self, place: int) -> bool:
        """Whether the block's token at this `place` begins an element."""
        kind = _BLOCKS.get(self.tokens[place].type, "")
        if kind == "task":  # the item's first line follows its paragraph's token
            return bool(_TASK.match(self.tokens[place + 2].content))
        return bool(kind)

    def _block(self, token: Token) -> Element:
        assert token.map
        kind, content = _BLOCKS[token.type], token.content
        start = token.meta["starts"][0]
        line = self.line + token.map[0]
        element = Element(kind, token, start, self._end(token), line, content=content)
        if kind == "directive":
            _read_directive(element, self._references)
        elif kind == "label":
            element.labels = [content]
        elif kind == "equation":
            # Not the token's, in which spaces are dashes.
            label = self.text[start : element.end].rpartition("$$")[2]
            element.labels = [label.strip()[1:-1]]
        elif kind == "heading":
            if not (token.level or self._is_inside):  # those inside are not sections
                element.level = int(token.tag[1])
        elif kind == "html" and html.is_comment(content):
            element.kind = "comment"
        return element

    def _end(self, token: Token) -> int:
        """Where the last line of a block ends, without its line break."""
        assert token.map
        first, end = token.map
        place = token.meta["starts"][0]
        for _ in range(first, end):
            found = self.text.find("\n", place)
            if found < 0:
                return len(self.text)
            place = found + 1
        return place - 1

    def _parts(self, block: Token, opening: Token | None) -> Iterator[Element]:
        """The elements inside of a block's lines; `opening` is the token before it."""
        assert block.map
        at = self._places(block, opening)
        for start, end, shown in typography.replacements(block):
            line = self.line + block.map[0] + block.content.count("\n", 0, start)
            yield Element("typed", block, at(start), at(end), line, content=shown)
        for token in block.children or []:
            if "attributes" in token.meta:
                start, end = token.meta["attributes"]
                place = self.line + block.map[0] + block.content.count("\n", 0, start)
                yield Element("attributes", token, at(start), at(end), place)
            kind = _INLINE.get(token.type)
            if not kind:
                continue
            start, end = token.meta["span"]
            line = self.line + block.map[0] + block.content.count("\n", 0, start)
            element = Element(kind, token, at(start), at(end), line)
            element.content = token.content
            if kind == "role":
                element.name = token.meta["name"]
                element.content = " ".join(token.content.split())
                match = re.fullmatch(r"(.+?)\s*<(.+)>", element.content)
                if match and not element.name.startswith("cite"):
                    element.title, element.content = match.groups()
            elif kind == "html" and html.is_comment(token.content):
                element.kind = "comment"
            elif kind in ("image", "link", "span"):
                element.label_end = at(token.meta["label"])
                address = token.attrGet("src") or token.attrGet("href")
                element.content = unquote(str(address))
            yield element

    def _places(self, block: Token, opening: Token | None) -> Callable[[int], int]:
        """A function from places in a block's content to those in the text."""
        starts, content = block.meta.get("starts", []), block.content
        if opening and opening.type == "heading_open" and opening.markup[0] == "#":
            first = opening.meta["starts"][0] + len(opening.markup)
            starts = [self.text.index(content, first)]
        elif opening and opening.type in ("th_open", "td_open"):
            return self._places_in_cell(block)

        def at(place: int) -> int:
            line = content.count("\n", 0, place)
            return starts[line] + place - content.rfind("\n", 0, place) - 1

        return at

    def _places_in_cell(self, block: Token) -> Callable[[int], int]:
        """The same for a cell of a table, in which \\| is a stroke."""
        assert block.map
        written = block.content.replace("|", "\\|")
        row = block.map[0]
        last, end = getattr(self, "_cell", (-1, 0))
        if last != row:
            end = 0
            for _ in range(row):
                end = self.text.index("\n", end) + 1
        start = self.text.index(written, end)
        self._cell = row, start + len(written)

        def at(place: int) -> int:
            return start + place + block.content.count("|", 0, place)

        return at


def _read_directive(element: Element, references: Mapping[str, Any]) -> None:
    """Fill in what the directive of `element` says."""
    token = element.token
    match = re.fullmatch(r"\{([^\s}]+)\}(?:\s+(.*))?", token.info.strip())
    if not match:
        element.name = ""
        element.body = Prose(
            token.content, element.line + 1, is_inside=True, references=references
        )
        return
    element.name, argument = match[1], match[2] or ""
    element.content = argument
    kind = DIRECTIVES.get(element.name)
    if not kind:
        return
    try:
        found = parse_directive_text(kind, argument, token.content)
    except MarkupError as error:
        element.fault = str(error)
        return
    if element.name == "bibliography":
        return
    element.fault = "; ".join(warning.msg for warning in found.warnings)
    element.options = found.options
    if name := found.options.get("name"):
        element.labels.append(name)
    line = element.line + 1 + found.body_offset
    element.body = Prose(
        "\n".join(found.body), line, is_inside=True, references=references
    )
    if element.name != "figure" and found.arguments:
        element.caption = Prose(
            found.arguments[0], element.line, in_line=True, references=references
        )


def plain_text(token: Token) -> str:
    """The text in a token of a line, without marks."""
    if token.children:
        return "".join(map(plain_text, token.children))
    return "\n" if token.type.endswith("break") else token.content
