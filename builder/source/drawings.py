"""Drawings in SVG that pages contain, with the steps in which they build up.

A part of a drawing with `data-step="2"` appears with the second step. The first part of
each step has a `<title>`, which says what the step shows. As a picture, a drawing shows
all of its parts.
"""

from pathlib import Path
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
STEP = "data-step"
ElementTree.register_namespace("", SVG[1:-1])
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


def fault(file: Path) -> str:
    """What is wrong with the drawing in `file`; "" if pages can contain it."""
    try:
        parts = _parts(ElementTree.parse(file).getroot())
    except ElementTree.ParseError as error:
        return f"it is damaged, or no SVG ({error}): save it again"
    steps = {part.attrib[STEP] for part in parts}
    numbers = [str(number) for number in range(1, len(steps) + 1)]
    if odd := sorted(steps - {*numbers}):
        return (
            f"its steps are numbered without a gap, {', '.join(numbers)}, but one is "
            f'{STEP}="{odd[0]}": number them so'
        )
    titled = {p.attrib[STEP] for p in parts if p.findtext(f"{SVG}title", "").strip()}
    if silent := sorted(steps - titled, key=int):
        return (
            f"its step {silent[0]} does not say what it shows: begin the part with "
            f'{STEP}="{silent[0]}" with <title>, in words for all readers'
        )
    return ""


def has_steps(file: Path) -> bool:
    """Whether the drawing in `file` builds up."""
    return bool(_parts(ElementTree.parse(file).getroot()))


def markup(file: Path, alt: str, *, fragments: bool = False) -> str:
    """The drawing in `file` as a part of a page, described by `alt`.

    Titles, which browsers show beside the pointer, become attributes `data-title`. On
    slides, steps after the first are `fragments`.
    """
    root = ElementTree.parse(file).getroot()
    for part in _parts(root):
        for title in part.findall(f"{SVG}title"):
            part.set("data-title", " ".join("".join(title.itertext()).split()))
            part.remove(title)
        if fragments and (place := int(part.attrib[STEP]) - 2) >= 0:
            part.attrib |= {"class": "fragment", "data-fragment-index": str(place)}
    for name in ("title", "desc"):  # `alt` is what this page has instead
        for child in root.findall(f"{SVG}{name}"):
            root.remove(child)
    root.attrib.pop("aria-labelledby", None)
    root.attrib |= {"class": "drawing", "role": "img", "aria-label": alt}
    return ElementTree.tostring(root, encoding="unicode")


def _parts(root: ElementTree.Element) -> list[ElementTree.Element]:
    """The parts of a drawing that belong to a step."""
    return [part for part in root.iter() if STEP in part.attrib]
