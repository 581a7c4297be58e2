"""What the labels in chapters refer to, and their numbers.

Numbers follow Sphinx's rules, so that a notebook and the page agree: figures, tables
and equations count within a chapter, sections within theirs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from builder.source.chapter import Chapter
from builder.source.markup import (
    DIRECTIVE,
    EQUATION,
    HEADING,
    directive_options,
    without_code,
)


@dataclass(frozen=True)
class Label:
    """What a label refers to: `kind` is figure, table, equation or section."""

    kind: str
    number: str
    title: str
    chapter: str
    line: int


def collect(chapters: Iterable[Chapter]) -> dict[str, Label]:
    """The labels of the book by name; raises BookError if a name is used twice."""
    labels: dict[str, Label] = {}
    for chapter in chapters:
        for name, label in _labels(chapter):
            if name in labels:
                first = labels[name]
                raise chapter.error(
                    label.line,
                    f"the label {name!r} is already used at chapters/{first.chapter}.md:"
                    f"{first.line}: choose another",
                )
            labels[name] = label
    return labels


def _labels(chapter: Chapter) -> Iterator[tuple[str, Label]]:
    counts: Counter[str] = Counter()
    for cell in chapter.prose:
        for position, kind, name, title in sorted(_targets(without_code(cell.source))):
            if kind == "chapter":
                kind, number = "section", str(chapter.number)
            else:
                counts[kind] += 1
                number = f"{chapter.number}.{counts[kind]}"
            if name:
                line = cell.line_at(position)
                yield name, Label(kind, number, title, chapter.stem, line)


def _targets(text: str) -> Iterator[tuple[int, str, str, str]]:
    """What is numbered: (position, kind, label or "", title)."""
    for match in DIRECTIVE.finditer(text):
        if match["name"] in ("figure", "table"):
            options, _ = directive_options(match["body"])
            title = match["argument"] if match["name"] == "table" else ""
            yield match.start(), match["name"], options.get("name", ""), title
    for match in EQUATION.finditer(text):
        if match["label"]:
            yield match.start(), "equation", match["label"], ""
    for match in HEADING.finditer(text):
        kind = {1: "chapter", 2: "section"}.get(len(match["marks"]))
        if kind:
            yield match.start(), kind, match["label"] or "", match["text"]
