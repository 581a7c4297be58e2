"""Records of trainings that a chapter shows or compares with its own, too long for it.

A record is a JSON file beside this module, which a script in `benchmarks/` has written;
the weights of a training may be beside it, with a card that says what they are.
"""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from d2lext.core.files import replacing
from d2lext.core.training import provenance, report

FOLDER = Path(__file__).parent / "recorded"


def recorded(name: str) -> dict[str, Any]:
    """The record `name`: its "history", as a trainer's, and the text that it "printed".

    What else is in it depends on the script; "weights" is the path of their file, if there
    is one. Raises ValueError for a name that has no record.
    """
    known = sorted(path.stem for path in FOLDER.glob("*.json"))
    if name not in known:
        raise ValueError(
            f"name must be that of a recorded training, got {name!r}: choose from "
            f"{', '.join(known)}"
        )
    record = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    if (weights := FOLDER / f"{name}.safetensors").exists():
        record["weights"] = str(weights)
    return record


def write(name: str, trainer: Any, data: Any, **more: Any) -> Path:
    """Write the record of a trainer that has fitted its model; test it on `data`, once.

    Without `data`, which is None, it is not tested. `more` goes into the record as well.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        report.end(trainer)
        if data is not None:
            trainer.test(data)
    return save(
        name, {"history": trainer.history, "printed": printed.getvalue(), **more}
    )


def save(name: str, record: dict[str, Any], where: Path | None = None) -> Path:
    """Write a `record` of JSON's types into the folder `where`; returns its file."""
    path = (where or folder()) / f"{name}.json"
    with replacing(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(record, indent=1) + "\n")
    return path


def folder() -> Path:
    """Where new records go: in fast mode, whose numbers mean nothing, to `_build/bench`."""
    return Path("_build/bench") if provenance.fast_mode() else FOLDER
