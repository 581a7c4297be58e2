"""Whether a notebook still has the outputs that were recorded.

Programs that save a notebook without running it rewrite much of its file. What counts is
what readers see: an output's kind, its text, its data by type, the sizes of its images.
Not the order of keys, how texts are cut into lines or streams into pieces, line ends,
blanks within base64, numbers of executions, or other metadata.
"""

import hashlib
import json
import re
from collections.abc import Iterable
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
    shown: list[list[Any]] = []
    for new in filter(None, map(_shown, outputs)):
        if new[0] == "stream" and shown and shown[-1][:2] == new[:2]:
            shown[-1][2] += new[2]
        else:
            shown.append(new)
    if not shown:
        return ""
    # Numbers as JavaScript writes them, to which 1.0 and 1 are the same.
    numbers = json.loads(json.dumps(shown), parse_int=float)
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:16]


def _shown(output: NotebookNode) -> list[Any]:
    """What readers see of an `output`; nothing of an empty stream."""
    if output.output_type == "stream":
        text = _value("text/plain", output.text)
        return ["stream", output.name, text] if text else []
    if output.output_type == "error":
        return ["error", output.ename, output.evalue, output.traceback]
    data = {kind: _value(kind, value) for kind, value in output.data.items()}
    sizes = {k: v for k, v in output.get("metadata", {}).items() if k in data}
    return [output.output_type, data, sizes]


def _value(kind: str, value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "".join(value)
    if not isinstance(value, str):  # JSON
        return value
    return (
        "".join(value.split()) if _BASE64.match(kind) else re.sub("\r\n", "\n", value)
    )
