"""The last layer in the last block of DenseNet-121, without a bottleneck and with one."""

from math import prod

from chapters.img.svg import BLUE, INK, LAYERS, LINE, drawing, element, path, text
from d2lext.core.densenet.registry import architecture

NETWORK, LAYER = architecture("densenet121"), "features.denseblock4.denselayer16.conv"
MIDDLE, CHANNELS = "#5b8db8", 6  # of the bottleneck; channels for each pixel of height
ABOVE, BELOW = 123, 335  # the heights of the two rows


def weights():
    """Channels read, in the bottleneck and written; weights without it and with it."""
    shapes = {layer.name: layer.shape for layer in NETWORK.layers()}
    first, second = shapes[f"{LAYER}1"], shapes[f"{LAYER}2"]
    channels = first[1], first[0], second[0]
    return channels, 9 * first[1] * second[0], (prod(first), prod(second))


def draw():
    """Two rows: bars of channels, and arrows with the weights between them."""
    (read, middle, written), alone, (first, second) = weights()
    sum_ = first + second
    parts = [
        path(["M", 24, 226, "H", 616], stroke=LINE, stroke_width=2),
        *bar(118, ABOVE, read, BLUE, -28, "end"),
        *bar(548, ABOVE, written, LAYERS[0], 28, "start"),
        *arrow(146, 520, ABOVE, "3 × 3 convolution", f"{alone:,} weights"),
        *bar(118, BELOW, read, BLUE, -28, "end"),
        *bar(348, BELOW, middle, MIDDLE),
        *bar(548, BELOW, written, LAYERS[0], 28, "start"),
        *arrow(146, 320, BELOW, "1 × 1", f"{first:,}"),
        *arrow(376, 520, BELOW, "3 × 3", f"{second:,}"),
        text(333, 448, f"{first:,} + {second:,} = {sum_:,} weights", 21),
    ]
    return drawing(
        "bottleneck",
        640,
        470,
        "A layer without a bottleneck and with one",
        f"Above, a layer without a bottleneck: a 3x3 convolution with {alone:,} weights "
        f"turns {read} channels into {written}. Below, the same layer with one: a 1x1 "
        f"convolution with {first:,} weights turns {read} channels into {middle}, and a "
        f"3x3 convolution with {second:,} weights turns these into {written}. Together "
        f"they have {sum_:,} weights.",
        parts,
    )


def bar(x, y, channels, colour, dx=0, anchor="middle"):
    """A bar as high as its `channels`, with their number beside it or above it."""
    height = channels / CHANNELS
    box = {"x": x - 18, "y": f"{y - height / 2:.1f}", "width": 36}
    yield element("rect", **box, height=f"{height:.1f}", fill=colour)
    bottom = y + 7 if dx else y - height / 2 - 9
    yield text(x + dx, bottom, channels, 21, anchor=anchor, font_weight="bold")


def arrow(start, end, y, above, below):
    """An arrow from `start` to `end`, with words above it and below it."""
    yield path(["M", start, y, "H", end - 10], stroke=INK, stroke_width=3)
    yield path(["M", end - 11, y - 6, "L", end, y, "L", end - 11, y + 6, "z"], INK)
    yield text((start + end) / 2, y - 14, above, 21)
    yield text((start + end) / 2, y + 30, below, 21)
