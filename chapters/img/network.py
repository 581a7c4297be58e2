"""The whole network as slabs: width is channels, height is pixels."""

from chapters.img.svg import BLUE, GREY, INK, LAYERS, LINE, drawing, path, text
from d2lext.core.densenet.architecture import Architecture
from d2lext.core.densenet.registry import VARIANTS

NETWORK = Architecture.from_options(VARIANTS["densenet_d2l"])  # of chapter 1
SIZE = 96  # of the image, in pixels
# The width of a channel, the height of a pixel, and how far the depth of one shifts it.
CHANNEL, PIXEL, SLANT = 0.4, 1.4, 0.4
GAP, AXIS = 27, 142  # between two slabs, and where their middle lies
SHIRT = "M30 16L40 12Q48 20 56 12L66 16 86 40 74 50 68 42V84H28V42L22 50 10 40z"
SCORES = (6, 10, 4, 14, 8, 30, 5, 12, 7, 9)  # of a classifier that is rather sure


def draw(architecture=NETWORK, size=SIZE):
    """Each block as a slab of the channels that come in and those that layers add."""
    k, c, side = architecture.growth_rate, architecture.num_channels, size // 4
    x, step, seen = 14, "stem", []
    parts = [*slab(x, size, [(1, INK)]), garment(x, size), *label(44, "image", 1, size)]
    x += CHANNEL + size * PIXEL * SLANT
    for i, num_convs in enumerate(architecture.arch, 1):
        parts += link(x, step)
        x += GAP
        out = c + num_convs * k
        added = [(k, LAYERS[j % len(LAYERS)]) for j in range(num_convs)]
        parts += slab(x, side, [(c, BLUE), *added])
        middle = x + out * CHANNEL / 2
        parts.append(text(middle, 90, f"{c} + {num_convs}·{k}", 18))
        parts += label(middle, f"block {i}", out, side)
        seen.append(f"from {c} to {out} channels of {side} x {side} pixels")
        x += out * CHANNEL + side * PIXEL * SLANT
        c, side, step = int(out * architecture.compression), side // 2, "transition"
    parts += [*link(x, "head"), *scores(x + GAP)]
    parts += label(x + GAP + 15, "scores", architecture.num_classes, 1)
    return drawing(
        "network",
        640,
        326,
        "The whole network as slabs",
        "Slabs from left to right, each lower and longer than the one before. An image of "
        f"{size} x {size} pixels with 1 channel passes the stem. {len(architecture.arch)} "
        f"blocks lead {', '.join(seen)}. Between two blocks is a transition, and at the "
        f"end the head gives {architecture.num_classes} scores.",
        parts,
    )


def slab(x, side, slices):
    """Feature maps of `side` pixels: `slices` are numbers of channels, with colours."""
    high, back = side * PIXEL, side * PIXEL * SLANT
    top = AXIS - (high - back) / 2
    for channels, colour in slices:
        wide = channels * CHANNEL
        yield path(["M", x, top, "h", wide, "v", high, "h", -wide, "z"], colour)
        roof = ["M", x, top, "l", back, -back, "h", wide, "l", -back, back, "z"]
        yield path(roof, colour, fill_opacity=0.6)
        x += wide
    face = ["M", x, top, "l", back, -back, "v", high, "l", -back, back, "z"]
    yield path(face, INK)


def garment(x, side):
    """What the image may show, on the face of its slab."""
    unit, back = PIXEL * side / 96, PIXEL * side * SLANT
    top = AXIS - (PIXEL * side - back) / 2
    turned = f"matrix({unit * SLANT} {-unit * SLANT} 0 {unit} {x + CHANNEL} {top})"
    return path([SHIRT], LINE, transform=turned)


def scores(x):
    """A bar for each of ten classes, the largest in colour."""
    for i, score in enumerate(SCORES):
        colour = LAYERS[0] if score == max(SCORES) else BLUE
        yield path(
            ["M", x, AXIS - 40 + 8 * i, "h", score, "v", 6, "h", -score, "z"], colour
        )


def link(x, step):
    """The arrow to the next slab, and what is computed there."""
    middle, end = x + GAP / 2, x + GAP - 5
    yield path(["M", x + 6, AXIS, "H", end - 7], stroke=GREY, stroke_width=2.5)
    yield path(["M", end - 9, AXIS - 6, "l", 9, 6, "l", -9, 6, "z"], GREY)
    yield path(["M", middle, 44, "V", AXIS - 12], stroke=LINE, stroke_width=2)
    yield text(middle, 34, step, 18, GREY)


def label(x, name, channels, side):
    """Below a slab: its name, its channels and its pixels."""
    yield text(x, 264, channels, 22, font_weight="bold")
    yield text(x, 288, f"{side} × {side}", 18)
    yield text(x, 311, name, 18, GREY)
