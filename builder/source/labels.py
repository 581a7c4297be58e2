"""What the labels in chapters refer to, and all numbers in the book.

Figures, tables and equations count within a chapter, sections within theirs. Notebooks
read their numbers here, and `sphinxext.numbers` gives the same ones to Sphinx.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from docutils.nodes import make_id

from builder.source.chapter import Cell, Chapter
from builder.source.prose import Element


@dataclass(frozen=True)
class Label:
    """What a label refers to: `kind` is figure, table, equation, section or chapter."""

    kind: str
    number: str
    title: str  # in MyST, as its author wrote it
    chapter: str
    line: int
    cell: Cell = field(repr=False)  # that it is in, which not all readers have


def collect(chapters: Iterable[Chapter]) -> dict[str, Label]:
    """The labels of the book by name; raises BookError if a name is used twice."""
    labels: dict[str, Label] = {}
    known: dict[str, str] = {}  # where names are, by what Sphinx makes of them
    for place, chapter in enumerate(chapters, 1):
        for cell in chapter.prose:
            for element in cell.prose.walk():
                for name in _names(element):
                    _check_name(name, chapter, element.line, known)
        for cell, element, number in numbered(chapter, place):
            element.number = number
            title, line = _title(element), element.line
            kind = "chapter" if element.level == 1 else kind_of(element)
            for name in element.labels:
                labels[name] = Label(kind, number, title, chapter.stem, line, cell)
    return labels


def _names(element: Element) -> list[str]:
    """The names that an `element` gives, to itself or to what follows."""
    if element.kind == "directive":
        return [element.options["name"]] if "name" in element.options else []
    return element.labels if element.kind in ("label", "equation") else []


def _check_name(name: str, chapter: Chapter, line: int, known: dict[str, str]) -> None:
    """Raise BookError unless `name` is a good label, and new among those `known`."""
    if len(name.split()) != 1 or not make_id(name):
        raise chapter.error(
            line,
            f"a label is one word in Latin letters, got {name!r}: rename it, or begin a "
            "new line after the formula if it is not a label",
        )
    place = f"chapters/{chapter.stem}.md:{line}"
    if (first := known.setdefault(make_id(name), place)) != place:
        raise chapter.error(
            line,
            f"the label {name!r} is already used at {first}: choose another, which "
            "differs by more than case and punctuation",
        )


def numbered(chapter: Chapter, place: int) -> Iterator[tuple[Cell, Element, str]]:
    """What has a number in the chapter at this `place`, with its cell and that number."""
    counts: Counter[str] = Counter()
    sections = [place]
    for cell in chapter.prose:
        for element in cell.prose.walk():
            kind = kind_of(element)
            if kind == "section":
                if (depth := element.level - 1) > 0:
                    sections[depth:] = [1 + sum(sections[depth : depth + 1])]
                yield cell, element, ".".join(map(str, sections))
            elif kind:
                counts[kind] += 1
                yield cell, element, f"{place}.{counts[kind]}"


def kind_of(element: Element) -> str:
    """The kind of a numbered `element`, empty if it has no number."""
    if element.kind == "heading" and element.level:
        return "section"
    if element.kind == "equation":
        return "equation"
    if element.kind == "directive" and element.name == "figure":
        return "figure"
    if element.kind == "directive" and element.name == "table" and element.caption:
        return "table"
    return ""


def _title(element: Element) -> str:
    if element.kind == "heading":
        return element.content
    if element.name == "figure" and element.body:
        return element.body.paragraph
    return element.caption.text if element.caption else ""
