"""Files that callers name, written complete or not at all. Standard library only."""

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

ABANDONED_S = 3600  # partial files of this age belong to no running process


def named(path: Any, what: str = "path", folders: bool = False) -> Path:
    """The `path` of a file, as a caller wrote it; `~` is the home folder.

    Raises TypeError or ValueError, about `what`, unless it may be a file on this machine,
    or with `folders` a folder.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"{what} must be the path of a file, got {type(path).__name__}: write it as "
            "text or as a pathlib.Path"
        )
    text = os.fspath(path)
    if re.match(r"[a-z][a-z0-9+.-]+:/", text, re.IGNORECASE):
        raise ValueError(
            f"{what} must be a file on this machine, got the address {text}: download "
            "it first, or write to a file and upload that"
        )
    # A user who does not exist leaves it as it is, for example the file ~old.npz.
    text = os.path.expanduser(text)
    if os.path.isdir(text) and not folders:
        raise ValueError(
            f"{what} must be a file, got {text}, but it is a folder: name a file in it"
        )
    return Path(text)


def folder(path: str | os.PathLike[str]) -> Path:
    """The `path` of a folder, as a caller wrote it; `~` is the home folder."""
    return Path(os.path.expanduser(path))


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str],
    mode: str = "wb",
    abandoned_after_s: float = ABANDONED_S,
    **options: Any,
) -> Iterator[IO]:
    """A new file that takes the name `path` once the block has written all of it.

    A missing folder is made, a link leads to the new file, and a file that was there keeps
    its mode. If anything fails before that, the file at `path` stays as it
    was and nothing is left beside it. A killed process leaves a partial file, which a later
    call removes once it is older than `abandoned_after_s`. `mode` and `options` are those
    of `open`. Raises OSError if the disk is full or the folder is not writable.
    """
    shown, path = path, Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path, abandoned_after_s)
    # In the same folder: renaming is atomic only within a file system.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, mode.replace("w", "x"), **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(path, part)
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError) and error.filename == str(part):
            # About the file that the caller knows.
            raise OSError(error.errno, error.strerror, str(shown)) from None
        raise


def _remove_abandoned(path: Path, after_s: float) -> None:
    for part in path.parent.glob(f".{path.name}.*.part"):
        with contextlib.suppress(OSError):  # another process may remove it, too
            if time.time() - part.stat().st_mtime >= after_s:
                part.unlink()
