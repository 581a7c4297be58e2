"""Files: written so that an interruption leaves the old one or the new one, and compared.

Standard library only, because the first look at whether anything changed is to be quick.
"""

import hashlib
from pathlib import Path

from builder.errors import BookError
from d2lext.core.files import replacing


def write(path, content):
    """Write a text or bytes to `path` unless they are there; return whether it changed."""
    path = Path(path)
    mode, encoding = ("wb", None) if isinstance(content, bytes) else ("w", "utf-8")
    if path.exists():
        with path.open(mode.replace("w", "r"), encoding=encoding) as file:
            if file.read() == content:
                return False
    try:
        with replacing(path, mode, encoding=encoding) as file:
            file.write(content)
    except OSError as error:
        raise BookError(
            f"{path} could not be written ({error.strerror or error}); the file is as it "
            "was before: make room, or allow writing there, and try again"
        ) from error
    return True


def fingerprint(*paths):
    """A text that changes with any file in `paths`, folders or files, and with its name."""
    digest = hashlib.sha256()
    for path in map(Path, paths):
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in found:
            if file.is_file() and file.suffix != ".pyc":
                digest.update(f"{file.relative_to(path.parent)}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()
