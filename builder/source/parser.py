"""The parser of prose: MyST's, set as for the site, which also tells where tokens are.

markdown-it gives blocks their lines, but what is inside a line no place at all. Here each
token's `meta` has `starts`, where each line of a block begins, without the quote or list
around it; or `span`, the part of its line's content that an inline token was read from.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import index as dollarmath
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

# MyST's settings, for Sphinx as well.
SETTINGS: dict[str, Any] = {
    "enable_extensions": [
        "attrs_block",
        "attrs_inline",
        "colon_fence",
        "deflist",
        "dollarmath",
    ],
    # As in other viewers of Markdown: $5 and $10 are prices.
    "dmath_allow_digits": False,
    "dmath_allow_space": False,
    "dmath_double_inline": True,
    "update_mathjax": False,
}


def _from_its_first_character(make: Callable[..., Any]) -> Callable[..., Any]:
    """What makes the rule for formulas in a line, without the plugin's mistake.

    It asks whether a digit is before the dollar, of a text's first one at the text's end.
    """

    def make_rule(*options: bool) -> Callable[[StateInline, bool], bool]:
        rule = make(*options)

        def apply(state: StateInline, silent: bool) -> bool:
            if state.pos or not state.src[-1:].isdigit():
                return rule(state, silent)
            state.src += " "
            try:
                return rule(state, silent)
            finally:
                state.src = state.src[:-1]

        return apply

    return make_rule


# Sphinx makes a parser of its own, from the same plugin.
dollarmath.math_inline_dollar = _from_its_first_character(dollarmath.math_inline_dollar)


@cache
def blocks() -> MarkdownIt:
    """The parser of a whole chapter into blocks, among them its front matter."""
    return create_md_parser(
        MdParserConfig(**SETTINGS, disable_syntax=["inline"]), RendererHTML
    )


@cache
def prose() -> MarkdownIt:
    """The parser of a cell's text, or of a text within a directive."""
    parser = create_md_parser(MdParserConfig(**SETTINGS), RendererHTML)
    parser.disable("front_matter")
    parser.enable("strikethrough")  # which notebooks have, and the site has not
    parser.options["inline_definitions"] = True
    # After all others: a dollar that begins no formula, which only the site knows.
    parser.inline.ruler.push("dollar", _dollar)
    for block in parser.block.ruler.__rules__:
        block.fn = _with_starts(block.fn)
    for inline in parser.inline.ruler.__rules__:
        inline.fn = _with_span(inline.fn)
    return parser


def _dollar(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "$":
        return False
    if not silent:
        state.push("dollar", "", 0).content = "$"
    state.pos += 1
    return True


def _with_starts(rule: Callable[..., bool]) -> Callable[..., bool]:
    """The `rule` for a block, with `starts` in the tokens that it makes."""

    def apply(state: StateBlock, start: int, end: int, silent: bool) -> bool:
        count = len(state.tokens)
        if not rule(state, start, end, silent):
            return False
        for token in [] if silent else state.tokens[count:]:
            if token.map and "starts" not in token.meta:
                token.meta["starts"] = _starts(state, token)
            if token.type == "attrs_block":  # which MyST moves to the next block
                state.env.setdefault("attributes", []).append(token)
        return True

    return apply


def _starts(state: StateBlock, token: Token) -> list[int]:
    """Where the lines of a block begin, as StateBlock.getLines cuts them."""
    assert token.map
    first, end = token.map
    starts = [state.bMarks[first] + state.tShift[first]]
    for line in range(first + 1, min(end, state.lineMax)):
        place, columns = state.bMarks[line], 0
        while place < state.eMarks[line] and columns < state.blkIndent:
            if state.src[place] == "\t":
                columns += 4 - (columns + state.bsCount[line]) % 4
            elif state.src[place] == " " or (
                place - state.bMarks[line] < state.tShift[line]
            ):
                columns += 1
            else:
                break
            place += 1
        starts.append(place)
    return starts


def _with_span(rule: Callable[..., bool]) -> Callable[..., bool]:
    """The `rule` for a part of a line, with `span` in the tokens that it makes.

    The first token of a link, an image or a span has `label`, too, the end of the text
    between its brackets; one with attributes has `attributes`, their span.
    """

    def apply(state: StateInline, silent: bool) -> bool:
        start, count = state.pos, len(state.tokens)
        if not rule(state, silent):
            return False
        new = [] if silent else state.tokens[count:]
        for token in new:
            if "span" not in token.meta:
                token.meta["span"] = start, state.pos
                if token.type in ("link_open", "span_open", "image"):
                    bracket = start + (token.type == "image")
                    token.meta["label"] = _label_end(state, bracket)
        is_attributes = state.src[start] == "{" and not state.pending
        if is_attributes and not (new or silent):  # whose rule makes no token
            state.tokens[-1].meta["attributes"] = start, state.pos
        return True

    return apply


def _label_end(state: StateInline, bracket: int) -> int:
    if state.src[bracket] != "[":  # an address between < and >
        return bracket
    return state.md.helpers.parseLinkLabel(state, bracket, False)
