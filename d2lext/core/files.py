"""Files that appear complete or not at all. Standard library only."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

ABANDONED_S = 3600  # after which a file in the making belongs to no running process


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike,
    mode: str = "wb",
    abandoned_after_s: float = ABANDONED_S,
    **options: Any,
) -> Iterator[IO]:
    """A new file that takes the name `path` once the block has written all of it.

    If anything fails before that, what was at `path` stays and nothing is left beside
    it. A killed process leaves its part behind; a call that finds one older than
    `abandoned_after_s` removes it. `mode` and `options` are those of `open`. Raises
    OSError where there is no room, or no permission.
    """
    path = Path(path)
    _remove_abandoned(path, abandoned_after_s)
    # In the same folder, because only within a file system is a renaming atomic.
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=".part"
    )
    try:
        with open(handle, mode, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # temporary files are for their owner alone
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _remove_abandoned(path: Path, after_s: float) -> None:
    for part in path.parent.glob(f".{path.name}.*.part"):
        with contextlib.suppress(OSError):  # another process may remove it, too
            if time.time() - part.stat().st_mtime >= after_s:
                part.unlink()
