"""Checks a chapter's prose: directives, figures and images."""

import re
from pathlib import Path

from builder.source.chapter import Cell, Chapter
from builder.source.markup import (
    DIRECTIVE,
    DIRECTIVES,
    IMAGE,
    directive_options,
    without_code,
)


def check(chapter: Chapter, folder: Path) -> None:
    """Raise BookError where the prose breaks a rule; images are relative to `folder`."""
    for cell in chapter.prose:
        if match := re.search(r"^`{3,}\{", cell.source, re.MULTILINE):
            raise chapter.error(
                cell.line_at(match.start()),
                "in prose, a directive goes between colons: write :::{name} … :::",
            )
        text = without_code(cell.source)
        for match in DIRECTIVE.finditer(text):
            _check_directive(match, cell, chapter, folder)
        for match in IMAGE.finditer(text):
            line, file = cell.line_at(match.start()), match["source"]
            if not match["alt"].strip():
                raise chapter.error(
                    line,
                    f"the image {file} has no alternative text: describe it "
                    "between the brackets, ![what it shows](file)",
                )
            if file.startswith("img/"):
                _check_image(file, line, chapter, folder)


def _check_directive(
    match: re.Match[str], cell: Cell, chapter: Chapter, folder: Path
) -> None:
    line, name = cell.line_at(match.start()), match["name"]
    if name not in DIRECTIVES:
        raise chapter.error(
            line, f"unknown directive {name!r}: choose from {', '.join(DIRECTIVES)}"
        )
    if name != "figure":
        return
    options, caption = directive_options(match["body"])
    file = match["argument"].strip()
    if not options.get("alt"):
        raise chapter.error(
            line,
            f"the figure {file} has no alternative text: add a line "
            "`:alt: what the figure shows` for readers who cannot see it",
        )
    if not caption:
        raise chapter.error(
            line, f"the figure {file} has no caption: add it below the options"
        )
    _check_image(file, line, chapter, folder)


def _check_image(file: str, line: int, chapter: Chapter, folder: Path) -> None:
    if not (folder / file).is_file():
        raise chapter.error(
            line, f"there is no image chapters/{file}: add it, or correct its name"
        )
