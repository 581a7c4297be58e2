"""The images of chapters as each form takes them: kinds that it shows, plain names."""

import io
import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path

from PIL import Image

from builder.source.images import COMMON, SCRIPT, TYPES, key

PRINTED = (".svg", ".png", ".jpg", ".jpeg")
READERS, BROWSERS = COMMON, (*TYPES, SCRIPT)


def prepared(
    chapters: Path, kinds: Collection[str]
) -> Iterator[tuple[str, str, bytes]]:
    """The images below `chapters`/img: their `key`, their path for a form, the content.

    A form that shows only these `kinds` gets the others as PNG, but no scripts.
    """
    used: set[str] = set()
    for path in sorted((chapters / "img").rglob("*")):
        ending = path.suffix.lower()
        if ending not in {*TYPES, *kinds} or not path.is_file():
            continue
        name, content = path.relative_to(chapters).as_posix(), path.read_bytes()
        if ending not in kinds:
            content, ending = _png(content), ".png"
        # Neither TeX nor an address takes every character.
        plain = re.sub(r"[^\w/-]+", "-", name.removesuffix(path.suffix), flags=re.ASCII)
        while plain + ending in used:
            plain += "-"
        used.add(plain + ending)
        yield key(name), plain + ending, content


@lru_cache(maxsize=64)
def _png(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.save(buffer, "PNG")  # of an animation, the first picture
    return buffer.getvalue()
