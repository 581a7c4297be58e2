"""Reads what authors write as text, and writes files completely or not at all.

Standard library only, so that checking for changes is quick.
"""

import codecs
import contextlib
import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from builder.errors import BookError, chapter_error
from d2lext.core.files import replacing

# In UTF-32, a text begins with UTF-16's mark, too.
_MARKS = {
    "UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}
# Control characters but for tabs and line ends, and what else no editor shows: programs
# disagree on whether a line ends there, and XML or UTF-8 cannot hold most of them.
UNSEEN = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]"
)


def read(path: Path, shown: Path) -> str:
    r"""The text of an author's file, `shown` in messages; each line ends in "\n".

    Raises BookError, with the line, if the file is not text in UTF-8.
    """
    content = read_bytes(path)
    for encoding, marks in _MARKS.items():
        if content.startswith(marks):
            raise chapter_error(
                shown, 1, f"the file must be in UTF-8, got {encoding}: save it as UTF-8"
            )
    try:
        text = content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        raise chapter_error(
            shown,
            _line(before),
            f"the file must be in UTF-8, got the byte 0x{content[error.start]:02X} after "
            f"{_words(before)!r}: save it as UTF-8",
        ) from error
    check_text(text, shown)
    return unix(text)


def read_bytes(path: Path) -> bytes:
    """The content of a file; raises BookError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BookError(
            f"{path} cannot be read ({error.strerror or error}): restore it, or make it "
            "readable"
        ) from error


def check_text(text: str, shown: Path) -> None:
    """Raise BookError at the first character of `text` that no editor shows."""
    if match := UNSEEN.search(text):
        name = unicodedata.name(match[0], "a control character")
        raise chapter_error(
            shown,
            _line(text[: match.start()]),
            f"a text must not hold invisible characters, got U+{ord(match[0]):04X} "
            f"({name}) after {_words(text[: match.start()])!r}: delete it, or write it as "
            "an escape in code",
        )


def unix(text: str) -> str:
    r"""`text` with lines that end in "\n", whatever they ended in."""
    return re.sub("\r\n?", "\n", text)


def as_in(path: Path, text: str) -> str:
    """`text` with the line ends, and the byte order mark, of the file at `path`."""
    old = read_bytes(path)
    ends = {*re.findall(rb"\r\n?|\n", old)} or {b"\n"}
    if len(ends) > 1:
        raise BookError(f"{path} has two kinds of line ends: save it with one of them")
    mark = "\ufeff" if old.startswith(codecs.BOM_UTF8) else ""
    return mark + text.replace("\n", ends.pop().decode())


def _line(before: str) -> int:
    """The number of the line that follows the text `before`, as editors count."""
    return unix(before).count("\n") + 1


def _words(before: str) -> str:
    """The last words of the text `before`, in its last line."""
    return unix(before).rpartition("\n")[2][-20:]


def holds(path: Path, content: str | bytes) -> bool:
    """Whether the file at `path` holds `content`; text may have any line ends."""
    try:
        old = path.read_bytes()
    except FileNotFoundError:
        return False
    if isinstance(content, bytes):
        return old == content
    new = content.encode()
    return old == new or old.replace(b"\r\n", b"\n") == new


def write(path: Path, content: str | bytes) -> bool:
    """Write `content` to `path` if it differs; return whether the file changed."""
    with explained(path):
        if holds(path, content):
            return False
        with replacing(path) as file:
            file.write(content.encode() if isinstance(content, str) else content)
    return True


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise BookError instead of OSError in the block, which writes to `path` last."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.filename and Path(error.filename) != path:
            reason += f": {error.filename}"
        raise BookError(
            f"{path} could not be written ({reason}) and is unchanged: free some space, "
            "or make it writable, and try again"
        ) from error
    except UnicodeEncodeError as error:
        raise BookError(
            f"{path} could not be written ({error.reason}) and is unchanged: delete the "
            f"character {error.object[error.start]!r} in what it is made from"
        ) from error


@contextlib.contextmanager
def locked(path: Path, say: Callable[[], object]) -> Iterator[bool]:
    """Let one process at a time run the block; call `say` if another one does.

    The block gets whether it had to wait. The lock, on the file at `path`, ends with its
    process.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield False
        return
    has_waited = False
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            has_waited = True
            say()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield has_waited


def fingerprint(*paths: Path) -> str:
    """A hash of the names and contents of all files in `paths` or below."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.suffix != ".pyc":
                digest.update(f"{file.relative_to(path.parent)}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()
