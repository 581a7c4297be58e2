"""Whether a notebook still has the outputs that were recorded.

Programs that save a notebook without running it rewrite much of its file. What counts is
what readers see: an output's kind, its text, its data by type, the sizes of its images.
Not the order of keys, how texts are cut into lines or streams into pieces, line ends,
blank lines at the end, blanks within base64, numbers of executions, or other metadata.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from nbformat import NotebookNode

_BASE64 = re.compile(r"image/(?!svg)|audio/|video/|application/pdf")


def digests(cells: Iterable[NotebookNode]) -> list[str]:
    """A hash of what each code cell of a notebook shows; empty if it shows nothing."""
    return [_digest(cell.outputs) for cell in cells if cell.cell_type == "code"]


def change(recorded: str, now: str) -> str:
    """In a word, how a cell's output differs from the recorded one, by their hashes."""
    if recorded == now:
        return ""
    return "changed" if recorded and now else "cleared" if recorded else "added"


def _digest(outputs: Iterable[NotebookNode]) -> str:
    shown: list[Any] = []
    for stream, group in groupby(outputs, lambda output: output.get("name")):
        if not stream:
            shown += map(_shown, group)
        elif text := _seen("text/plain", "".join(output.text for output in group)):
            shown.append([stream, text])
    if not shown:
        return ""
    # Numbers as JavaScript writes them, to which 1.0 and 1 are the same.
    numbers = json.loads(json.dumps(shown), parse_int=float)
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:16]


def _shown(output: NotebookNode) -> list[Any]:
    if output.output_type == "error":
        return ["error", output.ename, output.evalue, output.traceback]
    data = {kind: _seen(kind, value) for kind, value in output.data.items()}
    sizes = {k: v for k, v in output.get("metadata", {}).items() if k in data}
    return [output.output_type, data, sizes]


def _seen(kind: str, value: Any) -> Any:
    """What readers see of a `value` of this kind."""
    if not isinstance(value, str):  # JSON
        return value
    if _BASE64.match(kind):
        return "".join(value.split())
    return value.replace("\r\n", "\n").rstrip("\n")
