r"""Markdown and LaTeX among outputs, as the MyST that all forms of the book show.

Jupyter's programs show the Markdown that most viewers know, and formulas between dollars,
\[ \], \( \), or an environment such as align.
"""

import re

from builder.source import html, latex
from builder.source.prose import Prose

# The kinds of elements that MyST shows as Jupyter does.
_SHOWN = ("dollar", "fence", "formula", "heading", "html", "link", "typed")
_BARE = rf"\\begin\{{(?P<name>{'|'.join(latex.ENVIRONMENTS)})(?P<star>\*?)\}}.+?"
_BARE += r"\\end\{(?P=name)(?P=star)\}"
_DISPLAYED = re.compile(rf"^(?<!\$\$\n){_BARE}[ ]*$", re.DOTALL | re.MULTILINE)
_FORMULA = re.compile(
    rf"\$\$(?P<dollars>.+?)\$\$|\\\[(?P<brackets>.+?)\\\]|(?P<bare>{_BARE})"
    r"|\$(?P<dollar>[^$]+)\$|\\\((?P<round>.+?)\\\)",
    re.DOTALL,
)


def unknown(markdown: str) -> str:
    """The first part of an output's `markdown` that not every form can show, or ""."""
    prose = Prose(markdown)
    faults = {id(token) for token, _ in html.faults(prose.tokens)}
    for element in prose.elements:
        if (
            element.kind not in _SHOWN
            or id(element.token) in faults
            or (element.kind == "fence" and element.token.info.startswith("{"))
            or (element.kind == "link" and not re.match("https?:", element.content))
        ):
            return element.written
    return ""


def from_markdown(markdown: str) -> str:
    """The MyST of an output's `markdown`."""
    text = _DISPLAYED.sub(lambda match: _displayed(match[0]), markdown)
    for element in reversed(Prose(text).elements):
        if element.kind == "formula":
            written = latex.nested(element.written)
            text = f"{text[: element.start]}{written}{text[element.end :]}"
    return text


def from_latex(source: str) -> str:
    """The MyST of an output's LaTeX: its formulas, and other characters as they are."""
    if match := _FORMULA.fullmatch(source.strip()):
        return _displayed(_inside(match)).strip()
    pieces, place = [], 0
    for match in _FORMULA.finditer(source):
        pieces.append(_words(source[place : match.start()]))
        is_inline = match["dollar"] or match["round"]
        formula = _inside(match).strip()
        pieces.append(f"${formula}$" if is_inline else _displayed(formula))
        place = match.end()
    return "".join([*pieces, _words(source[place:])]).strip()


def _inside(match: re.Match[str]) -> str:
    kinds = ("dollars", "brackets", "bare", "dollar", "round")
    return next(text for kind in kinds if (text := match[kind]))


def _displayed(formula: str) -> str:
    lines = filter(str.strip, latex.nested(formula).split("\n"))
    return "\n".join(["\n\n$$", *lines, "$$\n\n"])


def _words(text: str) -> str:
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", re.sub(r"\s+", " ", text))
