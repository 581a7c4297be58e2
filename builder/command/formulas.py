"""Mistakes of LaTeX in chapters' formulas, which KaTeX finds, as on the site."""

from collections.abc import Callable, Iterable

from builder.errors import BookError
from builder.source import latex
from builder.source.chapter import Chapter
from builder.sphinxext import katex

REMEDY = "correct it, or write what https://katex.org/docs/supported.html lists"


def problems(
    chapters: Iterable[Chapter], note: Callable[[str], object] = print
) -> list[str]:
    """A line for each formula that KaTeX cannot read; without Node or KaTeX, a `note`."""
    try:
        if not (lacking := katex.lacking()):
            return [*map(str, _errors(chapters))]
    except BookError as error:  # Node does not start
        lacking = str(error)
    note(f"formulas are not checked: {lacking}")
    return []


def check(chapters: Iterable[Chapter], note: Callable[[str], object] = print) -> None:
    """Raise BookError with all `problems`."""
    if lines := problems(chapters, note):
        raise BookError("\n".join(lines))


def _errors(chapters: Iterable[Chapter]) -> list[BookError]:
    found = [
        (chapter, element)
        for chapter in chapters
        for cell in chapter.lecture
        if cell.kind == "markdown"
        for element in cell.prose.walk()
        if element.kind in latex.KINDS
    ]
    asked = [(e.content, e.token.type != "math_inline") for _, e in found]
    errors = []
    pairs = zip(found, katex.faults(asked) if asked else [], strict=True)
    for (chapter, element), (fault, place) in pairs:
        if fault:
            line = element.line + element.content[:place].rstrip().count("\n")
            message = " ".join(fault.split())
            errors.append(chapter.error(line, f"{message}: {REMEDY}"))
    return errors
