"""The file of a checkpoint, which is complete whenever a process is killed.

A checkpoint is NumPy's .npz, in which each array has a checksum, and what is not an
array is JSON: reading it executes nothing.
"""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from d2lext.core.files import replacing

Arrays = dict[str, np.ndarray]
_RECORD = "record.json"
_fits = itertools.count(1)


def save(path: str | Path, record: dict[str, Any], arrays: Arrays) -> None:
    """Write `record`, of JSON's types, and the dict `arrays` to the file `path`.

    The checkpoint that was there is kept beside it (`before(path)`). At any moment at
    least one of the two is complete. Raises OSError where there is no room, and then
    nothing has changed.
    """
    path = Path(path)
    # The points of a notebook's own curve may be scalars of any library.
    text = np.frombuffer(json.dumps(record, default=float).encode(), np.uint8)
    members: dict[str, Any] = {_RECORD: text, **arrays}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Only one process writes it, so that any unfinished part is a killed one's.
        with replacing(path, abandoned_after_s=0) as file:
            np.savez(file, **members)
            file.flush()  # if there is no room for it, nothing has changed
            # A damaged one must not take the place of the one before it.
            if path.exists() and _is_complete(path):
                os.replace(path, before(path))
    except OSError as error:
        raise OSError(error.errno, _advice(error, arrays), str(path)) from error


def load(path: str | Path) -> tuple[dict[str, Any], Arrays] | None:
    """(record, arrays) of the checkpoint `path`; None where there is none.

    Of a damaged one the checkpoint before it is taken, and a notice says so. Raises
    ValueError where neither can be read.
    """
    problems = []
    for candidate in (Path(path), before(path)):
        try:
            found = _read(candidate)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except MemoryError:
            raise
        # What reads a damaged file raises whatever its bytes lead to.
        except Exception as error:
            problems.append(f"{candidate} ({error})")
            continue
        if problems:
            print(
                f"Damaged: the checkpoint {problems[0]}. {candidate} is used instead."
            )
        return found
    if problems:
        raise ValueError(
            f"a checkpoint must be complete, got {' and '.join(problems)}: delete it "
            "to train from the beginning"
        )
    return None


def before(path: str | Path) -> Path:
    """Where the checkpoint before the newest one is."""
    path = Path(path)
    return path.with_name(path.name + ".before")


def of_next_fit() -> Path | None:
    """A path in the folder D2LEXT_CHECKPOINTS, another one for each call, or None.

    So an interrupted recording resumes without any word of it in the chapter.
    """
    folder = os.environ.get("D2LEXT_CHECKPOINTS")
    return Path(folder) / f"fit-{next(_fits)}.npz" if folder else None


def _is_complete(path: Path) -> bool:
    try:
        _read(path)
    except Exception:
        return False
    return True


def _advice(error: OSError, arrays: Arrays) -> str:
    mib = sum(array.nbytes for array in arrays.values()) // 2**20 + 1
    return (
        f"a checkpoint of {mib} MiB must be written after each epoch, got "
        f"{error.strerror!r}: make room, or name another file; the checkpoint of the "
        "epoch before, if there is one, is still there"
    )


def _read(path: Path) -> tuple[dict[str, Any], Arrays]:
    # Reading an array to its end compares its checksum. NumPy would not close the file
    # that it has opened itself and then finds damaged.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        arrays = dict(archive)
    return json.loads(arrays.pop(_RECORD).tobytes()), arrays
