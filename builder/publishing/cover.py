"""The cover of an e-book: its title over the dense connections of five layers."""

import io
import textwrap
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Arc, FancyBboxPatch

from builder import files

SIZE, DPI = (8, 12), 200  # 1600 x 2400 pixels, as shops require
PAPER, INK, LINE = "#17406d", "#ffffff", "#8dbbea"
COLOURS = ("#ffffff", "#e8a33d", "#3f9e78", "#c97b9d", "#f0d65a")


def draw(path: Path, title: str, edition: str, author: str) -> None:
    """Write the cover as a PNG to `path`."""
    figure = Figure(SIZE, facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, SIZE[0]), ylim=(0, SIZE[1]))
    axes.set_axis_off()
    text: dict[str, Any] = {
        "x": 0.8,
        "color": INK,
        "ha": "left",
        "family": "DejaVu Sans",
    }
    lines = "\n".join(textwrap.wrap(title, 18))
    axes.text(
        y=10.8, s=lines, va="top", size=44, weight="bold", linespacing=1.3, **text
    )
    axes.text(y=1.5, s=edition, size=26, **text)
    axes.text(y=0.9, s=author, size=18, **text)
    places = [0.8 + 0.44 + 1.38 * i for i in range(len(COLOURS))]
    for i, left in enumerate(places):
        for right in places[i + 1 :]:
            width = right - left
            middle = ((left + right) / 2, 4.6)
            axes.add_patch(
                Arc(middle, width, 0.72 * width, theta2=180, color=LINE, lw=2.5)
            )
    for place, colour in zip(places, COLOURS, strict=True):
        axes.add_patch(
            FancyBboxPatch(
                (place - 0.34, 3.9),
                0.68,
                0.68,
                boxstyle="round,pad=0.06",
                facecolor=colour,
                edgecolor=PAPER,
                lw=3,
                zorder=3,
            )
        )
    picture = io.BytesIO()
    figure.savefig(picture, dpi=DPI, metadata={"Software": None})
    files.write(path, picture.getvalue())
