"""Writes files completely or not at all, and fingerprints them.

Standard library only, so that checking for changes is quick.
"""

import hashlib
from pathlib import Path

from builder.errors import BookError
from d2lext.core.files import replacing


def write(path: Path, content: str | bytes) -> bool:
    """Write `content` to `path` if it differs; return whether the file changed."""
    mode, encoding = ("wb", None) if isinstance(content, bytes) else ("w", "utf-8")
    if path.exists():
        with path.open(mode.replace("w", "r"), encoding=encoding) as old:
            if old.read() == content:
                return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, mode, encoding=encoding) as file:
            file.write(content)
    except OSError as error:
        raise BookError(
            f"{path} could not be written ({error.strerror or error}) and is unchanged: "
            "free some space, or make it writable, and try again"
        ) from error
    return True


def fingerprint(*paths: Path) -> str:
    """A hash of the names and contents of all files in `paths` or below."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.suffix != ".pyc":
                digest.update(f"{file.relative_to(path.parent)}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()
