"""Where the windows of a convolution are, by how a row of pixels is padded."""

from chapters.img.svg import BLUE, GREY, INK, LAYERS, drawing, element, path, text

PIXELS, WINDOW, STRIDE = 12, 7, 2
CELL, LEFT, BAR = 32, 32, 16  # of a pixel, before the first zero, between two windows
PALE, ORANGE = "#dbe6f2", LAYERS[0]


def same():
    """The zeros that "same" puts (before, after) the row: as few as will do."""
    outputs = -(-PIXELS // STRIDE)
    total = (outputs - 1) * STRIDE + WINDOW - PIXELS
    return total // 2, total - total // 2


def windows(before, after):
    """The first pixel of each window, from 0; zeros before the row are negative."""
    return range(-before, PIXELS + after - WINDOW + 1, STRIDE)


def draw():
    """A row and its windows, for both ways of padding."""
    before, after = same()
    three = WINDOW // 2
    parts = [
        *row(32, f"“same”: {before} before, {after} after", before, after),
        *row(218, f"PyTorch’s code: {three} on both sides", three, three),
    ]
    return drawing(
        "padding",
        640,
        382,
        "Padding of a row of pixels, for a window of seven and a stride of two",
        f"A row of {PIXELS} pixels, twice, with its windows of {WINDOW} pixels. Above, "
        f"padding of {before} zeros before the row and {after} after it: the windows are "
        f"centred on pixels {centres(before, after)}. Below, {three} zeros on each side: "
        f"the windows are centred on pixels {centres(three, three)}, and the last zero is "
        "never read.",
        parts,
    )


def centres(before, after):
    """The numbers of the pixels at the centres, from 1, in words."""
    *most, last = (start + WINDOW // 2 + 1 for start in windows(before, after))
    return f"{', '.join(map(str, most))} and {last}"


def row(y, title, before, after):
    """A title, a row of pixels between zeros, and a bar with a dot for each window."""
    yield text(320, y, title, 20, font_weight="bold")
    top, starts = y + 14, windows(before, after)
    middle = {start + WINDOW // 2 for start in starts}
    for pixel in range(-before, PIXELS + after):
        box = {"x": at(pixel), "y": top, "width": CELL, "height": CELL}
        is_real = 0 <= pixel < PIXELS
        fill = (ORANGE if pixel in middle else PALE) if is_real else "none"
        line = (
            {"stroke": INK} if is_real else {"stroke": GREY, "stroke_dasharray": "4 3"}
        )
        yield element("rect", **box, fill=fill, stroke_width=1.5, **line)
        if pixel < starts[-1] + WINDOW:
            yield text(at(pixel) + CELL / 2, top + 22, pixel + 1 if is_real else 0, 18)
        else:  # never read
            cross = ["M", at(pixel) + 9, top + 9, "l14 14m0 -14l-14 14"]
            yield path(cross, stroke=GREY, stroke_width=2)
    for i, start in enumerate(starts):
        height = top + CELL + 14 + i * BAR
        bar = ["M", at(start) + 6, height, "H", at(start + WINDOW) - 6]
        yield path(bar, stroke=BLUE, stroke_width=5, stroke_linecap="round")
        place = {"cx": at(start + WINDOW // 2) + CELL // 2, "cy": height, "r": 6}
        yield element("circle", **place, fill=ORANGE, stroke=INK, stroke_width=1.5)


def at(pixel):
    """The left side of a pixel."""
    return LEFT + (pixel + WINDOW // 2) * CELL
