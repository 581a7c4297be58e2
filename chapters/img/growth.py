"""A dense block and its transition, for numbers that readers choose with growth.js."""

from dataclasses import replace
from math import floor, prod

from chapters.img.memory import BATCH, SIDE, kept, mib
from chapters.img.network import NETWORK
from chapters.img.svg import (
    BLUE,
    EDGE,
    GREY,
    INK,
    LAYERS,
    LINE,
    drawing,
    element,
    path,
    text,
)

# Columns: where they begin, their widths, the floor below them, and the highest.
INPUTS, OUTPUT, NEXT, FLOOR, HIGH = (20, 256), (306, 50), (402, 50), 226, 180
SCALES = (256, 512, 1024, 2048)  # channels of the highest


def draw(c=64, k=32, n=4, theta=0.5):
    """The inputs of the layers, the block's output, and what the transition leaves."""
    values = counted(c, k, n, theta)
    top, table, memory = FLOOR - HIGH, FLOOR + 60, FLOOR + 126
    what = f"memory of {BATCH} images of {SIDE} × {SIDE} pixels"

    def value(name, x, y, size=19, fill=INK, anchor="end"):
        return text(x, y, values[name], size, fill, anchor, data_value=name)

    parts = [
        path(["M", 12, top, "H", 468], stroke=LINE),
        value("chosen", 12, top - 8, 17, GREY, "start"),
        value("scale", 468, top - 8, 17, GREY),
        element("g", "".join(columns(c, k, n, theta)), data_value="columns"),
        path(["M", 12, FLOOR, "H", 468], stroke=INK, stroke_width=2),
        path(["M", 368, FLOOR - 60, "h", 14], stroke=GREY, stroke_width=2.5),
        path(["M", 380, FLOOR - 66, "l", 9, 6, "l", -9, 6, "z"], GREY),
        text(148, FLOOR + 24, "what each layer reads", 18),
        text(331, FLOOR + 24, "block", 18),
        text(427, FLOOR + 24, "transition", 18),
        text(16, table, "channels", anchor="start"),
        value("out", 356, table),
        value("left", 464, table),
        text(16, table + 28, "parameters", anchor="start"),
        value("block", 356, table + 28),
        value("transition", 464, table + 28),
        path(["M", 16, memory - 26, "H", 464], stroke=LINE),
        text(16, memory, what, 18, GREY, "start"),
        text(16, memory + 28, "copies for each layer", anchor="start"),
        value("copies", 464, memory + 28),
        text(16, memory + 56, "every feature once", anchor="start"),
        value("features", 464, memory + 56),
    ]
    read = ", ".join(str(c + i * k) for i in range(n))
    return drawing(
        "growth",
        480,
        426,
        "A dense block and its transition",
        "Columns for {chosen}. The layers read {read} channels. The block gives {out}, "
        "with {block} parameters, and the transition leaves {left}, with {transition}. "
        "Copies for each layer take {copies}, every feature once {features}.".format(
            read=read, **values
        ),
        parts,
    )


def counted(c, k, n, theta):
    """What the drawing says, by the names of its parts."""
    out = c + n * k
    block, transition = parameters(c, k, n, theta)
    copies, features = (floor(mib(numbers) + 0.5) for numbers in kept(n, c, k))
    return {
        "chosen": f"c = {c}, k = {k}, n = {n}, θ = {theta:g}",
        "scale": f"{scale(out):,} channels",
        "out": f"{out:,}",
        "left": f"{int(theta * out):,}",
        "block": f"{block:,}",
        "transition": f"{transition:,}",
        "copies": f"{copies:,} MiB",
        "features": f"{features:,} MiB",
    }


def scale(channels):
    """The channels of the highest column for a block that gives `channels`."""
    return next(most for most in SCALES if most >= channels)


def columns(c, k, n, theta):
    """The columns: the channels that come in, and above them those of each layer."""
    out = c + n * k
    pitch = (INPUTS[1] + 4) / n
    places = [(INPUTS[0] + i * pitch, pitch - 4, i) for i in range(n)]
    places.append((*OUTPUT, n))
    unit = HIGH / scale(out)
    yield path([p for x, w, _ in places for p in bar(x, w, 0, c * unit)], BLUE)
    for j, colour in enumerate(LAYERS):
        bars = [
            bar(x, w, (c + m * k) * unit, k * unit)
            for x, w, layers in places
            for m in range(j, layers, len(LAYERS))
        ]
        # The lightest needs an edge on white.
        edge = {"stroke": EDGE} if colour == LAYERS[-1] else {}
        yield path(sum(bars, []), colour, **edge)
    yield path(bar(*NEXT, 0, int(theta * out) * unit), BLUE)


def bar(x, wide, start, high):
    """A column, or a part of one, that starts above the floor."""
    return ["M", x, FLOOR - start, "h", wide, "v", -high, "h", -wide, "z"]


def parameters(c, k, n, theta):
    """The numbers of parameters of a dense block and of the transition after it."""
    sizes = {"growth_rate": k, "num_channels": c, "compression": theta}
    layers = replace(NETWORK, arch=(n, 1), **sizes).layers()
    # A normalization has a scale and a shift, a convolution weights and biases.
    return [
        sum(prod(e.shape) + e.shape[0] for e in layers if e.name.startswith(part))
        for part in ("features.denseblock1.", "features.transition1.")
    ]
