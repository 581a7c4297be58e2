"""What a dense block keeps in memory, against its number of layers."""

from chapters.img.network import NETWORK, SIZE
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

SIDE, BATCH = SIZE // 4, 128  # pixels in the first block, images of a minibatch
LEFT, RIGHT, TOP, BOTTOM = 56, 460, 24, 270
DEEPEST, GIB = 16, 3  # the ends of both axes


def kept(n, c, k):
    """Numbers a pixel that a block keeps for the backward pass: (copies, features).

    Each of `n` layers has its input concatenated and normalized; the features themselves
    are the block's output.
    """
    features = c + n * k
    return 2 * sum(c + i * k for i in range(n)) + features, features


def mib(numbers, side=SIDE):
    """The memory of `numbers` a pixel in a minibatch, in single precision."""
    return numbers * side**2 * BATCH * 4 / 2**20


def draw(architecture=NETWORK):
    """Two curves: copies grow with the square of the number of layers."""
    c, k, n = architecture.num_channels, architecture.growth_rate, architecture.arch[0]
    counted = [[mib(m) for m in kept(i, c, k)] for i in range(DEEPEST + 1)]
    copies, features = zip(*counted, strict=True)
    x = at(n, 0)[0]
    parts = [
        *axes(),
        path(["M", x, BOTTOM, "V", TOP + 74], stroke=GREY, stroke_dasharray=4),
        *curve(copies, LAYERS[0]),
        *curve(features, BLUE),
        text(x, TOP + 42, f"{n} layers:", 18),
        text(x, TOP + 66, f"{copies[n]:.0f} and {features[n]:.0f} MiB", 18),
        text(*at(11.3, copies[12]), "copies", 20, anchor="end"),
        text(*at(13, features[13] + 160), "features", 20),
    ]
    return drawing(
        "memory",
        480,
        336,
        "Memory of a dense block against its number of layers",
        f"Two curves from 0 to {DEEPEST} layers. Copies rise faster and faster, to "
        f"{copies[-1] / 1024:.1f} GiB; features rise in a straight line, to "
        f"{features[-1]:.0f} MiB. At {n} layers, as in our network, they take "
        f"{copies[n]:.0f} and {features[n]:.0f} MiB.",
        parts,
    )


def at(layers, memory):
    """Where a number of layers and a memory in MiB are."""
    x = LEFT + (RIGHT - LEFT) * layers / DEEPEST
    return x, BOTTOM - (BOTTOM - TOP) * memory / (GIB * 1024)


def axes():
    """Lines and numbers for layers and GiB."""
    for gib in range(GIB + 1):
        _, y = at(0, 1024 * gib)
        yield path(["M", LEFT, y, "H", RIGHT], stroke=LINE)
        yield text(LEFT - 10, y + 6, gib, 18, anchor="end")
    yield text(LEFT + 8, TOP + 18, "GiB", 18, GREY, "start")
    for layers in range(0, DEEPEST + 1, 4):
        yield text(at(layers, 0)[0], BOTTOM + 26, layers, 18)
    yield text((LEFT + RIGHT) / 2, BOTTOM + 52, "layers in the block", 18, GREY)


def curve(values, colour):
    """A dot for each number of layers, and a line through them."""
    points = [at(layers, value) for layers, value in enumerate(values)]
    line = [part for point in points for part in ("L", *point)]
    yield path(["M", *line[1:]], stroke=colour, stroke_width=3)
    for x, y in points:
        yield element("circle", cx=number(x), cy=number(y), r=4, fill=colour)
