"""The drawings in this folder that show numbers, from the library's arithmetic.

    python -m chapters.img.draw

writes network.svg, memory.svg and growth.svg. A test compares them with this code, and
another one growth.js, which draws what readers choose with sliders, with growth().
"""

import re
from dataclasses import replace
from math import floor, prod
from pathlib import Path

from d2lext.core.densenet.architecture import Architecture
from d2lext.core.densenet.registry import VARIANTS

HERE = Path(__file__).parent
NETWORK = Architecture.from_options(VARIANTS["densenet_d2l"])  # of chapter 1
SIZE, BATCH = 96, 128  # of its images, in pixels, and of a minibatch
# As in the other drawings: what a block receives, and what each of its layers adds.
BLUE, LAYERS = "#17406d", ("#ec9c24", "#04694a", "#c680aa", "#f0d95a")
INK, GREY, LINE, EDGE = "#1f2933", "#52606d", "#cbd2d9", "#a88600"
SHIRT = "M30 16L40 12Q48 20 56 12L66 16 86 40 74 50 68 42V84H28V42L22 50 10 40z"
SCORES = (6, 10, 4, 14, 8, 30, 5, 12, 7, 9)  # of a classifier that is rather sure


def element(name, content="", **attributes):
    """An element of SVG; in the names of `attributes`, _ is read as -."""
    given = "".join(f' {k.replace("_", "-")}="{v}"' for k, v in attributes.items())
    return (
        f"<{name}{given}/>" if content == "" else f"<{name}{given}>{content}</{name}>"
    )


def text(x, y, words, size=19, fill=INK, anchor="middle", **attributes):
    """`words` on the line at `y`."""
    place = {"x": number(x), "y": number(y), "font_size": size, "fill": fill}
    if anchor != "start":
        place["text_anchor"] = anchor
    return element("text", words, **place, **attributes)


def path(d, fill="none", **attributes):
    """A path of numbers and commands of SVG, filled or with a stroke."""
    d = "".join(part if isinstance(part, str) else f"{number(part)} " for part in d)
    return element("path", d=re.sub(" (?=[-A-z]|$)", "", d), fill=fill, **attributes)


def number(value):
    """A coordinate, to a tenth of a pixel."""
    rounded = floor(10 * abs(value) + 0.5) / 10
    return f"{-rounded if value < 0 else rounded:g}"


def drawing(name, width, height, title, description, parts):
    """An SVG of `parts` on a white card, described for those who cannot see it."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc" '
        f'font-family="Helvetica, Arial, sans-serif">',
        "  <!-- Drawn by draw.py: python -m chapters.img.draw -->",
        f'  <title id="{name}-title">{title}</title>',
        f'  <desc id="{name}-desc">{description}</desc>',
        f'  <rect width="{width}" height="{height}" rx="12" fill="#ffffff"/>',
        *(f"  {part}" for part in parts),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


# --- The whole network: width is channels, height is pixels

CHANNEL, PIXEL, SLANT, GAP, AXIS = 0.4, 1.4, 0.4, 27, 142


def network(architecture=NETWORK, size=SIZE):
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
        seen.append(f"block {i} from {c} to {out} channels of {side} x {side} pixels")
        x += out * CHANNEL + side * PIXEL * SLANT
        c, side, step = int(out * architecture.compression), side // 2, "transition"
    parts += [*link(x, "head"), *scores(x + GAP)]
    parts += label(x + GAP + 15, "scores", architecture.num_classes, 1)
    return drawing(
        "network",
        640,
        326,
        "The whole network as slabs",
        f"An image of {size} x {size} pixels passes the stem; {'; '.join(seen)}; a "
        f"transition after each but the last; then the head gives "
        f"{architecture.num_classes} scores. Slabs become lower and longer.",
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


# --- Memory against the depth of a block


def kept(n, c, k):
    """Numbers a pixel that a block keeps for the backward pass: (copies, features).

    Each of `n` layers has its input concatenated and normalized; the features themselves
    are the block's output.
    """
    features = c + n * k
    return 2 * sum(c + i * k for i in range(n)) + features, features


def mib(numbers, side=SIZE // 4):
    """The memory of `numbers` a pixel in a minibatch, in single precision."""
    return numbers * side**2 * BATCH * 4 / 2**20


def memory(architecture=NETWORK, deepest=16):
    """Two curves: copies grow with the square of the number of layers."""
    c, k, n = architecture.num_channels, architecture.growth_rate, architecture.arch[0]
    counted = [[mib(m) for m in kept(i, c, k)] for i in range(deepest + 1)]
    left, right, top, bottom = 56, 460, 24, 270
    highest = 3 * 1024

    def at(i, value):
        x = left + (right - left) * i / deepest
        return x, bottom - (bottom - top) * value / highest

    parts = []
    for gib in range(4):
        y = at(0, 1024 * gib)[1]
        parts.append(path(["M", left, y, "H", right], stroke=LINE))
        parts.append(text(left - 10, y + 6, gib, 18, anchor="end"))
    parts.append(text(left + 8, top + 18, "GiB", 18, GREY, "start"))
    for i in range(0, deepest + 1, 4):
        parts.append(text(at(i, 0)[0], bottom + 26, i, 18))
    middle = (left + right) / 2
    parts.append(text(middle, bottom + 52, "layers in the block", 18, GREY))
    x, y = at(n, counted[n][0])
    parts.append(path(["M", x, bottom, "V", top + 74], stroke=GREY, stroke_dasharray=4))
    for colour, values in zip(
        (LAYERS[0], BLUE), zip(*counted, strict=True), strict=True
    ):
        points = [at(i, value) for i, value in enumerate(values)]
        line = [p for i, xy in enumerate(points) for p in ("L" if i else "M", *xy)]
        parts.append(path(line, stroke=colour, stroke_width=3))
        for x, y in points:
            parts.append(
                element("circle", cx=number(x), cy=number(y), r=4, fill=colour)
            )
    copies, features = counted[n]
    x = at(n, 0)[0]
    parts.append(text(x, top + 42, f"{n} layers:", 18))
    parts.append(text(x, top + 66, f"{copies:.0f} and {features:.0f} MiB", 18))
    parts.append(text(*at(11.3, counted[12][0]), "copies", 20, anchor="end"))
    parts.append(text(*at(13, counted[13][1] + 160), "features", 20))
    return drawing(
        "memory",
        480,
        336,
        "Memory of a dense block against its number of layers",
        f"From 0 to {deepest} layers, copies rise to {counted[-1][0] / 1024:.1f} GiB, "
        f"faster and faster; features rise in a straight line, to "
        f"{counted[-1][1]:.0f} MiB. At {n} layers they are {copies:.0f} and "
        f"{features:.0f} MiB.",
        parts,
    )


# --- A dense block and its transition, as growth.js draws what readers choose

INPUTS, OUTPUT, NEXT, FLOOR, HIGH = (20, 256), (306, 50), (402, 50), 226, 180


def growth(c=64, k=32, n=4, theta=0.5):
    """The inputs of the layers, the block's output, and what the transition leaves."""
    out = c + n * k
    left = int(theta * out)
    in_block, in_transition = parameters(c, k, n, theta)
    scale = next(s for s in (256, 512, 1024, 2048) if s >= out)
    chosen = f"c = {c}, k = {k}, n = {n}, θ = {theta:g}"
    copies, features = (f"{floor(mib(m) + 0.5):,} MiB" for m in kept(n, c, k))
    parts = [
        path(["M", 12, FLOOR - HIGH, "H", 468], stroke=LINE),
        text(
            468,
            FLOOR - HIGH - 8,
            f"{scale:,} channels",
            17,
            GREY,
            "end",
            data_value="scale",
        ),
        text(12, FLOOR - HIGH - 8, chosen, 17, GREY, "start", data_value="chosen"),
        element("g", "".join(columns(c, k, n, left, scale)), data_value="columns"),
        path(["M", 12, FLOOR, "H", 468], stroke=INK, stroke_width=2),
        path(["M", 368, FLOOR - 60, "h", 14], stroke=GREY, stroke_width=2.5),
        path(["M", 380, FLOOR - 66, "l", 9, 6, "l", -9, 6, "z"], GREY),
        text(148, FLOOR + 24, "what each layer reads", 18),
        text(331, FLOOR + 24, "block", 18),
        text(427, FLOOR + 24, "transition", 18),
    ]
    rows = [
        ("channels", out, left, "out", "left"),
        ("parameters", in_block, in_transition, "block", "transition"),
    ]
    for i, (words, first, second, *names) in enumerate(rows):
        y = FLOOR + 60 + 28 * i
        parts.append(text(16, y, words, 19, anchor="start"))
        for x, value, name in zip((356, 464), (first, second), names, strict=True):
            parts.append(text(x, y, f"{value:,}", 19, anchor="end", data_value=name))
    y = FLOOR + 126
    parts.append(path(["M", 16, y - 26, "H", 464], stroke=LINE))
    what = f"memory of {BATCH} images of {SIZE // 4} × {SIZE // 4} pixels"
    parts.append(text(16, y, what, 18, GREY, "start"))
    for words, value, name in (
        ("copies for each layer", copies, "copies"),
        ("every feature once", features, "features"),
    ):
        y += 28
        parts.append(text(16, y, words, 19, anchor="start"))
        parts.append(text(464, y, value, 19, anchor="end", data_value=name))
    return drawing(
        "growth",
        480,
        FLOOR + 200,
        "A dense block and its transition",
        f"Columns show what each layer reads, from {c} channels on, {k} more for each of "
        f"{n} layers; the block's output of {out} channels; and the {left} that the "
        "transition leaves.",
        parts,
    )


def columns(c, k, n, left, scale):
    """The columns: the channels that come in, and above them those of each layer."""
    pitch = (INPUTS[1] + 4) / n
    places = [(INPUTS[0] + i * pitch, pitch - 4, i) for i in range(n)]
    places.append((*OUTPUT, n))
    unit = HIGH / scale
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
    yield path(bar(*NEXT, 0, left * unit), BLUE)


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


DRAWINGS = {"network": network, "memory": memory, "growth": growth}

if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        (HERE / f"{name}.svg").write_text(draw(), "utf-8")
        print(f"wrote {name}.svg")
