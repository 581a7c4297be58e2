"""The kinds of images that chapters may show, and their names."""

from pathlib import Path
from urllib.parse import unquote

from PIL import Image, UnidentifiedImageError

from builder.source import drawings

# What browsers show, and with them notebooks, by the ending of a file's name.
TYPES = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
}
COMMON = (".svg", ".png", ".jpg", ".jpeg", ".gif")
SCRIPT = ".js"  # beside the drawings that it changes


def key(name: str) -> str:
    """The `name` of an image as all parsers have it: docutils drops spaces."""
    return "".join(unquote(name).split())


def fault(file: Path) -> str:
    """What is wrong with the image `file`; "" if every form of the book can show it."""
    ending = file.suffix.lower()
    if ending not in TYPES:
        return (
            f"no form shows images of the type {ending or 'of a file without ending'}: "
            f"save it as one of {', '.join(TYPES)}"
        )
    if ending == ".svg":
        return drawings.fault(file)
    try:
        with Image.open(file) as image:
            kind = Image.MIME.get(image.format or "")
            if ending not in COMMON:
                image.load()  # it is converted for some forms
    except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return "it is damaged, or no image: save it again"
    if kind != TYPES[ending]:
        return f"its ending is {ending}, but it is of the type {kind}: rename it"
    return ""
