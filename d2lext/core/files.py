"""Writes files that appear complete or not at all. Standard library only."""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

ABANDONED_S = 3600  # partial files of this age belong to no running process


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str],
    mode: str = "wb",
    abandoned_after_s: float = ABANDONED_S,
    **options: Any,
) -> Iterator[IO]:
    """A new file that takes the name `path` once the block has written all of it.

    If anything fails before that, the file at `path` stays as it was and nothing is left
    beside it. A killed process leaves a partial file, which a later call removes once it
    is older than `abandoned_after_s`. `mode` and `options` are those of `open`. Raises
    OSError if the disk is full or the folder is not writable.
    """
    path = Path(path)
    _remove_abandoned(path, abandoned_after_s)
    # In the same folder: renaming is atomic only within a file system.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, mode.replace("w", "x"), **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def _remove_abandoned(path: Path, after_s: float) -> None:
    for part in path.parent.glob(f".{path.name}.*.part"):
        with contextlib.suppress(OSError):  # another process may remove it, too
            if time.time() - part.stat().st_mtime >= after_s:
                part.unlink()
