"""The file of a checkpoint, which is complete even if the process is killed.

A checkpoint is a NumPy .npz file, in which each array has a checksum and everything else
is JSON: reading it executes nothing.
"""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from d2lext.core.files import folder, replacing

Arrays = dict[str, np.ndarray]
_RECORD = "record.json"
_fits = itertools.count(1)


def save(path: str | Path, record: dict[str, Any], arrays: Arrays) -> None:
    """Write `record`, of JSON's types, and the dict `arrays` to the file `path`.

    The previous checkpoint is kept beside it (`before(path)`). At any moment at least one
    of the two is complete. Raises OSError, and changes nothing, if there is no room, and
    ValueError if a file that is not a checkpoint has one of their names.
    """
    path = Path(path)
    _check_kind(path)
    # The points of a notebook's own curves may be scalars of any library.
    text = np.frombuffer(json.dumps(record, default=float).encode(), np.uint8)
    members: dict[str, Any] = {_RECORD: text, **arrays}
    try:
        # Only one process writes it, so any partial file is from a killed one.
        with replacing(path, abandoned_after_s=0) as file:
            np.savez(file, **members)
            file.flush()  # if there is no room for it, nothing has changed
            # A damaged checkpoint must not replace the one before it.
            if path.exists() and _is_complete(path):
                os.replace(path, before(path))
    except OSError as error:
        raise OSError(error.errno, _advice(error, arrays), str(path)) from error


def load(path: str | Path) -> tuple[dict[str, Any], Arrays] | None:
    """(record, arrays) of the checkpoint `path`; None if there is none.

    If it is damaged, the one before it is used, and a notice says so. Raises ValueError
    if neither can be read, or if one of the two files is not a checkpoint.
    """
    _check_kind(Path(path))
    problems: dict[Path, Exception] = {}
    for candidate in (Path(path), before(path)):
        try:
            found = _read(candidate)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except MemoryError:
            raise
        # What a damaged file raises depends on its bytes.
        except Exception as error:
            problems[candidate] = error
            continue
        for file, problem in problems.items():
            print(
                f"Damaged: the checkpoint {file} ({problem}). {candidate} is used instead."
            )
        return found
    damaged = [file for file in problems if file.stat().st_size]
    if damaged:
        listed = " and ".join(f"{file} ({problems[file]})" for file in damaged)
        raise ValueError(
            f"a checkpoint must be complete, got {listed}: delete "
            f"{' and '.join(map(str, damaged))} to train from the beginning"
        )
    return None


def files(path: str | Path) -> list[Path]:
    """The files of the checkpoint `path` that exist: the newest one, and the one before."""
    return [file for file in (Path(path), before(path)) if file.exists()]


def before(path: str | Path) -> Path:
    """The path of the checkpoint before the newest one."""
    path = Path(path)
    return path.with_name(path.name + ".before")


def of_next_fit() -> Path | None:
    """A path in the folder D2LEXT_CHECKPOINTS, different for each call, or None.

    It lets an interrupted recording resume without any code for it in the chapter.
    """
    path = os.environ.get("D2LEXT_CHECKPOINTS")
    return folder(path) / f"fit-{next(_fits)}.npz" if path else None


def _check_kind(path: Path) -> None:
    """Raise ValueError if a file that a checkpoint would replace is something else.

    A damaged checkpoint begins like one, and an empty file is nobody's.
    """
    for file in files(path):
        head = b"a folder" if file.is_dir() else _head(file)
        if head and _RECORD.encode() not in head:
            raise ValueError(
                f"a checkpoint must be a new file or one from a training, got {file}, "
                "which is something else and stays as it is: name another file"
            )


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(64)  # the record is the first member of the archive


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
    # Reading an array to its end checks its checksum. NumPy would not close a file that
    # it opens itself and then finds damaged.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        arrays = dict(archive)
    return json.loads(arrays.pop(_RECORD).tobytes()), arrays
