"""Synthetic garments: a substitute for Fashion-MNIST without a network.

The same ten classes, 28x28 grey pixels, light on black. Each class is drawn a few
hundred times; for each image, NumPy then shifts, shades and textures one of the
drawings. They let every chapter run; accuracies on them say nothing about the photos.
"""

import numpy as np

from d2lext.core.data.garments import drawings
from d2lext.core.data.garments.pen import SIZE, Pen

_SHAPES = 200  # drawings of each class
_SHIFTS = [(y, x) for y in range(3) for x in range(3)]  # corner in a margin of 1 pixel
_CHUNK = (
    2000  # images at a time, so that temporary arrays stay in the processor's cache
)


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` images, uint8 (count, 28, 28), and their labels, uint8 (count,).

    Image and label of an index depend on `seed` alone, not on `count`. Each run of
    ten labels holds every class once, in random order.
    """
    # One stream per quantity, so that a larger set begins with the smaller one.
    streams = np.random.SeedSequence(seed).spawn(8)
    rngs = [np.random.Generator(np.random.PCG64(stream)) for stream in streams]
    shapes, patterns = _shapes(rngs[0]), _patterns()
    tens = np.tile(np.arange(10), (-(-count // 10), 1))
    labels = rngs[1].permuted(tens, axis=1).ravel()[:count]
    # Labels hold 10 per row of `shapes`: class, drawing, shift.
    which = (labels * _SHAPES + rngs[2].integers(_SHAPES, size=count)) * len(_SHIFTS)
    which += rngs[3].integers(len(_SHIFTS), size=count)
    # Two thirds of the images are plain (pattern 0).
    texture = rngs[4].integers(3 * len(patterns), size=count)
    texture[texture >= len(patterns)] = 0
    brightness = rngs[5].uniform(0.45, 1.15, size=(count, 1, 1)).astype(np.float32)
    contrast = rngs[6].uniform(0.1, 0.45, size=(count, 1, 1)).astype(np.float32)
    images = np.empty((count, SIZE, SIZE), np.uint8)
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        noise = rngs[7].integers(-15, 16, size=images[part].shape, dtype=np.int8)
        image = shapes[which[part]].astype(np.float32)
        image *= brightness[part] * (1 - contrast[part] * patterns[texture[part]])
        image += noise * (image > 20)  # fabric has grain, the background is black
        images[part] = image.clip(0, 255)
    return images, labels.astype(np.uint8)


def _shapes(rng: np.random.Generator) -> np.ndarray:
    """Every drawing of every class at every shift, uint8 (number, 28, 28)."""
    drawn = []
    for draw_one in drawings.CLASSES:
        for _ in range(_SHAPES):
            pen = Pen()
            draw_one(pen, rng.uniform)
            wide = np.pad(pen.image(), 1)
            drawn += [wide[y : y + SIZE, x : x + SIZE] for y, x in _SHIFTS]
    return np.stack(drawn)


def _patterns() -> np.ndarray:
    """How much darker each pixel of a fabric is, float32 (n, 28, 28); the first: plain."""
    y, x = np.mgrid[:SIZE, :SIZE]
    patterns = [np.zeros((SIZE, SIZE))]
    for period in (2, 3, 4, 6, 9):
        for phase in range(0, period, 2):
            rows, columns = ((v + phase) % period < period / 2 for v in (y, x))
            patterns += [rows, columns, rows & columns, (rows + columns) % 2]
    patterns += [y / SIZE, 1 - y / SIZE, x / SIZE, 1 - x / SIZE]  # light from a side
    return np.stack(patterns).astype(np.float32)
