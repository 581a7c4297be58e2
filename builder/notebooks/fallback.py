"""Text in place of outputs that a form of the book cannot show.

Widgets, scripts and other programs' types are in a notebook alone; HTML, and with it an
animation, is on the site but not in print.
"""

import json
import re
from textwrap import shorten
from typing import Any

from nbformat import NotebookNode

TEXT = "text/plain"
ON_PAPER = (
    *("image/svg+xml", "image/png", "image/jpeg"),
    *("text/markdown", "text/latex"),
)
ON_SCREEN = ("text/html", "image/gif")
# What Python prints of an object that does not say more: nothing to read.
_BARE = re.compile(r"<[\w.]+( object)?( at 0x[0-9a-f]+)?>")


def readable(output: NotebookNode) -> NotebookNode:
    """The `output` as forms of the book show it: without types that none of them can."""
    if "data" not in output:
        return output
    kept = (TEXT, *ON_PAPER, *ON_SCREEN)
    data = {kind: value for kind, value in output.data.items() if kind in kept}
    if not any(kind in ON_PAPER for kind in data):
        data[TEXT] = _text(output.data)
    return NotebookNode({**output, "data": data})


def problem(output: NotebookNode) -> str:
    """What of an `output` some readers will not see, and what to do; empty if nothing."""
    data = output.get("data", {})
    kinds = [kind for kind in data if kind != TEXT]
    on_screen = any(kind in ON_SCREEN for kind in kinds)
    if not kinds or any(kind in ON_PAPER for kind in kinds):
        return ""
    if on_screen and _is_read(data):
        return ""
    where = "print" if on_screen else "no form of the book"
    cannot = (
        f"{' and '.join(kinds)}, which {where} {'cannot' if on_screen else 'can'} show"
    )
    return (
        f"{cannot}: in its place is {shorten(_text(data), 60)!r}\n"
        "Print a value or draw a picture, for instance one frame of an animation"
    )


def _text(data: NotebookNode) -> str:
    if _is_read(data):
        return data[TEXT]
    values = [value for kind, value in data.items() if kind == "application/json"]
    if values:
        return json.dumps(values[0], indent=1, ensure_ascii=False)
    return f"({', '.join(kind for kind in data if kind != TEXT)}: in the notebook only)"


def _is_read(data: Any) -> bool:
    """Whether the text among `data` says something."""
    return bool(data.get(TEXT)) and not _BARE.fullmatch(data[TEXT])
