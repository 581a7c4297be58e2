"""Reads a chapter's front matter: its card, and the settings of Jupyter's tools."""

import re
from pathlib import Path

import nbformat
import yaml

from builder.errors import chapter_error
from builder.source import cards
from builder.source.cards import Card

FRONT = re.compile(
    r"(?P<marks>-{3,})[ \t]*\n(?P<yaml>.*?)^(?:(?P=marks)-*|\.{3})[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
# PyYAML lets others through: for the date 2026-02-31, !!bool x, a thousand brackets.
YAML_ERRORS = (
    *(yaml.YAMLError, ValueError, TypeError),
    *(AttributeError, KeyError, RecursionError),
)
EXAMPLE = "write a name, a colon and a value, as in `name: value`"


def read(text: str, shown: Path) -> Card:
    """The card in the front matter of `text`; raises BookError, with the line."""
    start = len(text) - len(text.lstrip())
    first = text.count("\n", 0, start) + 1
    if not re.match(r"-{3,}[ \t]*\n", text[start:]):
        return {}
    match = FRONT.match(text, start)
    if not match:
        raise chapter_error(
            shown, first, "the front matter is never closed: end it with a line ---"
        )
    try:
        settings = yaml.safe_load(match["yaml"])
    except YAML_ERRORS as error:
        # Of a bracket that is never closed, the line where it stands.
        is_open = "flow" in str(getattr(error, "context", ""))
        mark = getattr(error, "context_mark" if is_open else "problem_mark", None)
        line = first + 1 + (mark.line if mark else 0)
        problem = getattr(error, "problem", None) or error
        raise chapter_error(
            shown, line, f"the front matter is not valid YAML ({problem}): {EXAMPLE}"
        ) from error
    if not isinstance(settings, dict):
        raise chapter_error(
            shown,
            first,
            f"the front matter must hold settings, got {settings!r}: {EXAMPLE}",
        )
    if first > 1:
        raise chapter_error(
            shown,
            1,
            "the front matter must begin in line 1: delete the lines before it",
        )
    _check_settings(settings, shown)
    return cards.read(match["yaml"], first + 1, shown)


def _check_settings(settings: dict, shown: Path) -> None:
    """Raise BookError unless Jupyter accepts the `settings` for a notebook."""
    try:
        nbformat.v4.new_notebook(metadata=nbformat.from_dict(settings))
        place, problem = "jupyter", "must hold settings"
        if isinstance(settings.get(place, {}), dict):
            return
    except nbformat.ValidationError as error:
        _, *names = map(str, error.absolute_path)
        place, problem = ".".join(names), error.message
    raise chapter_error(
        shown, 1, f"{place} in the front matter is not valid ({problem}): correct it"
    )
