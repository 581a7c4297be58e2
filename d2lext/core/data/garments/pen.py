"""A pen for small images: polygons, lines and ovals with smooth edges."""

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

SIZE = 28  # pixels, height and width
_SCALE = 4  # drawn this much larger, then averaged: smooth edges

Point = tuple[float, float]  # x, y


class Pen:
    """Draws an image with x from 0 to 28 to the right, y from 0 to 28 downwards."""

    def __init__(self) -> None:
        self._large = Image.new("L", (SIZE * _SCALE, SIZE * _SCALE))
        self._draw = ImageDraw.Draw(self._large)

    def image(self) -> np.ndarray:
        """What has been drawn, uint8 (28, 28)."""
        return np.asarray(self._large.reduce(_SCALE))

    def area(self, *points: Point, shade: int) -> None:
        """A filled polygon."""
        self._draw.polygon(_enlarged(points), fill=shade)

    def symmetric(self, *points: Point, shade: int) -> None:
        """A polygon given by its left half, mirrored about the middle of the image."""
        self.area(*points, *((SIZE - x, y) for x, y in reversed(points)), shade=shade)

    def both(self, *points: Point, shade: int) -> None:
        """A polygon and its mirror image."""
        self.area(*points, shade=shade)
        self.area(*((SIZE - x, y) for x, y in points), shade=shade)

    def line(self, *points: Point, shade: int, width: float = 1.0) -> None:
        """A line through points."""
        self._draw.line(_enlarged(points), shade, round(width * _SCALE), joint="curve")

    def lines(self, *points: Point, shade: int, width: float) -> None:
        """A line and its mirror image."""
        self.line(*points, shade=shade, width=width)
        self.line(*((SIZE - x, y) for x, y in points), shade=shade, width=width)

    def oval(self, x0: float, y0: float, x1: float, y1: float, shade: int) -> None:
        """A filled ellipse."""
        self._draw.ellipse(sum(_enlarged([(x0, y0), (x1, y1)]), ()), fill=shade)

    def arch(
        self, x0: float, y0: float, x1: float, y1: float, shade: int, width: float
    ) -> None:
        """The upper half of an ellipse's outline."""
        box = sum(_enlarged([(x0, y0), (x1, y1)]), ())
        self._draw.arc(box, 180, 360, fill=shade, width=round(width * _SCALE))


def _enlarged(points: Iterable[Point]) -> list[Point]:
    return [(x * _SCALE, y * _SCALE) for x, y in points]
