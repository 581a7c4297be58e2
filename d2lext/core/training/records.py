"""Records of trainings that a chapter compares with its own, and that took too long for it.

A record is a JSON file beside this module, which a script in `benchmarks/` has written.
"""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from d2lext.core.files import replacing
from d2lext.core.training import report

FOLDER = Path(__file__).parent / "recorded"


def recorded(name: str) -> dict[str, Any]:
    """The record `name`: its "history", as a trainer's, and the text that it "printed".

    Raises ValueError for a name that has no record.
    """
    known = sorted(path.stem for path in FOLDER.glob("*.json"))
    if name not in known:
        raise ValueError(
            f"name must be that of a recorded training, got {name!r}: choose from "
            f"{', '.join(known)}"
        )
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def write(name: str, trainer: Any, data: Any) -> Path:
    """Write the record of a trainer that has fitted its model; test it on `data`, once."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        report.end(trainer)
        trainer.test(data)
    record = {"history": trainer.history, "printed": printed.getvalue()}
    path = FOLDER / f"{name}.json"
    with replacing(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(record, indent=1) + "\n")
    return path
