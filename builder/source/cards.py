"""A chapter's card on the front page, which its author writes in the front matter."""

from pathlib import Path

import yaml

from builder import files
from builder.errors import chapter_error
from builder.source import latex
from builder.source.prose import Prose

KEY = "card"
# In the order in which a card shows them.
FIELDS = {
    "question": "the question that the chapter answers",
    "outcome": "what readers have in the end",
    "time": "how long the chapter takes",
    "needs": "what readers should know or have before",
}
# What stays what it is on another page, in every form of the book.
SHOWN = ("dollar", "formula", "link", "typed")

Card = dict[str, tuple[str, int]]  # by field: its text in MyST, and its line


def read(front: str, first: int, shown: Path) -> Card:
    """The card in valid front matter, whose first line is `first` of the chapter `shown`.

    Raises BookError, with the line, where it is wrong.
    """
    found = _node(yaml.compose(front), KEY)
    if found is None:
        return {}
    settings = yaml.safe_load(front)[KEY]
    if not isinstance(found, yaml.MappingNode):
        raise chapter_error(
            shown,
            first + found.start_mark.line,
            f"{KEY} must hold settings, got {settings!r}: write each on a line of its own "
            f"below it, as in `  question: Why?`; there are {', '.join(FIELDS)}",
        )
    card: Card = {}
    for name, _ in found.value:
        line = first + name.start_mark.line
        text = settings[name.value] if name.value in FIELDS else None
        fault = _fault(name.value, text)
        if fault:
            raise chapter_error(shown, line, fault)
        card[name.value] = " ".join(str(text).split()), line
    return {name: card[name] for name in FIELDS if name in card}


def _node(mapping: yaml.Node | None, key: str) -> yaml.Node | None:
    """The value of `key` in the `mapping`, if it has one."""
    pairs = mapping.value if isinstance(mapping, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _fault(name: object, text: object) -> str:
    """What is wrong with the setting `name` of a card, and what to do; or nothing."""
    if name not in FIELDS:
        return f"unknown setting {name!r} of a card: choose from {', '.join(FIELDS)}"
    if not isinstance(text, str) or not text.strip() or files.UNSEEN.search(text):
        return (
            f"{name} must be a text, got {text!r}: write {FIELDS[str(name)]}, in single "
            "quotes if it has a colon, a backslash or only digits, or delete the line"
        )
    for element in Prose(" ".join(text.split()), in_line=True).elements:
        if element.kind in latex.KINDS and (fault := latex.fault(element.content)):
            return fault
        is_away = element.kind != "link" or element.content.startswith("http")
        if element.kind not in SHOWN or not is_away:
            return (
                f"{name} cannot show {element.written or element.content!r} on the front "
                "page: write words, formulas and links that begin with https://"
            )
    return ""
