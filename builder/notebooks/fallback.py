"""Text in place of outputs that a form of the book cannot show.

Widgets, scripts and other programs' types are in a notebook alone; HTML, and with it an
animation, is on the site but not in print. Markdown and LaTeX become MyST, if all forms
can show them; otherwise their source stands there.
"""

import json
import re
from collections.abc import Mapping
from textwrap import shorten
from typing import Any

from nbformat import NotebookNode

from builder.notebooks import typeset

TEXT, MARKDOWN, LATEX = "text/plain", "text/markdown", "text/latex"
ON_PAPER = ("image/svg+xml", "image/png", "image/jpeg", MARKDOWN, LATEX)
ON_SCREEN = ("text/html", "image/gif")
# What Python prints of an object that does not say more: nothing to read.
_BARE = re.compile(r"<[\w.]+( object)?( at 0x[0-9a-f]+)?>")


def readable(output: NotebookNode) -> NotebookNode:
    """The `output` as forms of the book show it: without types that none of them can."""
    data = _typeset(output.get("data", {}))
    kinds = [kind for kind in data if kind != TEXT]
    if kinds and not all(kind in ON_PAPER for kind in kinds):
        kept = {kind: data[kind] for kind in kinds if kind in (*ON_PAPER, *ON_SCREEN)}
        data = {**kept, TEXT: _text(data)}
    return NotebookNode({**output, "data": data}) if data else output


def problem(output: NotebookNode) -> str:
    """What of an `output` some readers will not see, and what to do; empty if nothing."""
    data = output.get("data", {})
    kinds = [kind for kind in data if kind != TEXT]
    if part := MARKDOWN in data and typeset.unknown(data[MARKDOWN]):
        shown = shorten(part, 40)
        return (
            f"Markdown with {shown!r}, which not every form of the book can show: in its "
            "place is its source\nWrite Markdown alone, without HTML, images or MyST"
        )
    if not kinds or any(kind in ON_PAPER for kind in kinds):
        return ""
    if _on_screen(data) and _is_read(data):
        return ""
    where = "print cannot" if _on_screen(data) else "no form of the book can"
    return (
        f"{' and '.join(kinds)}, which {where} show: in its place is "
        f"{shorten(_text(data), 60)!r}\n"
        "Print a value or draw a picture, for instance one frame of an animation"
    )


def _typeset(data: Mapping[str, Any]) -> dict[str, Any]:
    """The `data` with Markdown as MyST or, if forms cannot show it, as plain text."""
    kept = {
        kind: value for kind, value in data.items() if kind not in (MARKDOWN, LATEX)
    }
    if MARKDOWN in data:
        markdown = data[MARKDOWN]
        if typeset.unknown(markdown):
            return {**kept, TEXT: markdown}
        return {**kept, MARKDOWN: typeset.from_markdown(markdown)}
    if LATEX in data:
        return {**kept, MARKDOWN: typeset.from_latex(data[LATEX])}
    return kept


def _text(data: Mapping[str, Any]) -> str:
    """What stands in print for `data` that print cannot show."""
    if _is_read(data):
        return data[TEXT]
    if "application/json" in data:
        return json.dumps(data["application/json"], indent=1, ensure_ascii=False)
    return f"(shown {'on the site' if _on_screen(data) else 'in the notebook'} only)"


def _on_screen(data: Mapping[str, Any]) -> bool:
    return any(kind in data for kind in ON_SCREEN)


def _is_read(data: Mapping[str, Any]) -> bool:
    """Whether the text among `data` says something."""
    return bool(data.get(TEXT)) and not _BARE.fullmatch(data[TEXT])
