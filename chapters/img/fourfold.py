"""The memory of a network of depth 40 in four frameworks, from their recorded notebooks."""

import json
import re
from pathlib import Path

from chapters.img.svg import (
    BLUE,
    GREY,
    LAYERS,
    LINE,
    drawing,
    element,
    number,
    path,
    text,
)
from d2lext.core.frameworks import IDS, TITLES

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
DEPTH, MOST = 40, 12  # the second in MiB for each image
LEFT, RIGHT, TOP, BOTTOM = 128, 610, 26, 196
PRINTED = re.compile(rf"depth {DEPTH}, (\w+): ([\d.]+), counted ([\d.]+)")


def measured(backend):
    """What the notebook of a framework printed: {way: (measured, counted)}, in MiB."""
    notebook = json.loads((NOTEBOOKS / backend / "04-memory.ipynb").read_text("utf-8"))
    outputs = [o for cell in notebook["cells"] for o in cell.get("outputs", ())]
    printed = "".join("".join(output.get("text", ())) for output in outputs)
    found = {way: (float(a), float(b)) for way, a, b in PRINTED.findall(printed)}
    if set(found) != {"plain", "recomputed"}:
        raise ValueError(
            f"notebooks/{backend}/04-memory.ipynb must print the memory of depth {DEPTH}, "
            f"got {found}: record it, python build.py run memory --backend {backend}"
        )
    return found


def draw():
    """A row for each framework, with a dot for each way; lines are what was counted."""
    values = {name: measured(name) for name in IDS}
    counts = {way: count for way, (_, count) in values["torch"].items()}
    colours = {"plain": LAYERS[0], "recomputed": BLUE}
    parts = [*axis()]
    for way, count in counts.items():
        x = across(count)
        dashes = {"stroke": colours[way], "stroke_width": 2, "stroke_dasharray": 6}
        parts.append(path(["M", x, TOP, "V", BOTTOM], **dashes))
        parts.append(text(x, TOP - 8, f"{way}, counted", 17))
    for i, (backend, found) in enumerate(values.items()):
        y = TOP + 28 + 38 * i
        parts.append(text(LEFT - 12, y + 6, TITLES[backend], 19, anchor="end"))
        for way, (value, _) in found.items():
            x, fill = number(across(value)), colours[way]
            parts.append(element("circle", cx=x, cy=number(y), r=7, fill=fill))
    title = f"Memory at depth {DEPTH} in four frameworks"
    return drawing("fourfold", 640, 260, title, say(values, counts), parts)


def say(values, counts):
    """The drawing in words."""
    rows = [
        f"{TITLES[backend]} {found['plain'][0]:.2f} and {found['recomputed'][0]:.2f}"
        for backend, found in values.items()
    ]
    return (
        f"Counted, a network of depth {DEPTH} keeps {counts['plain']:.2f} MiB for each "
        f"image, and {counts['recomputed']:.2f} if it recomputes. Measured: "
        f"{', '.join(rows)}."
    )


def across(mib):
    """Where a number of MiB is."""
    return LEFT + (RIGHT - LEFT) * mib / MOST


def axis():
    """Lines and numbers for MiB."""
    for mib in range(0, MOST + 1, 3):
        x = across(mib)
        yield path(["M", x, TOP, "V", BOTTOM], stroke=LINE)
        yield text(x, BOTTOM + 24, mib, 18)
    yield text((LEFT + RIGHT) / 2, BOTTOM + 50, "MiB for each image", 18, GREY)
