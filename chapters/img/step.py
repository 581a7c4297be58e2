"""What one training step of a dense block has in memory, plain and recomputed."""

from chapters.img.svg import BLUE, GREY, LAYERS, LINE, drawing, path, text
from d2lext.core.densenet.registry import architecture

NETWORK = architecture("densenet_bc_100_12", arch=(8,))
LEFT, RIGHT, TOP, BOTTOM, MOST = 74, 620, 30, 300, 2000  # the last in channels


def inside(network=NETWORK):
    """The channels that each layer keeps: what it normalizes, and what ReLU returns."""
    c, k, width = network.num_channels, network.growth_rate, network.bottleneck_size
    return [2 * (c + i * k) + 2 * width * k for i in range(network.arch[0])]


def plain(network=NETWORK):
    """The channels in memory before and after each layer, forward and backward."""
    forward = [0]
    for channels in inside(network):
        forward.append(forward[-1] + channels)
    return forward + forward[-2::-1]


def recomputed(network=NETWORK):
    """The same, with each feature once and one layer made again at a time.

    A layer's inside is there between two places of the backward pass: (before, with it).
    """
    c, k, n = network.num_channels, network.growth_rate, network.arch[0]
    forward = [c + i * k for i in range(n + 1)]
    layers = reversed(list(enumerate(inside(network))))
    return forward, [(c + (i + 1) * k, c + (i + 1) * k + kept) for i, kept in layers]


def draw(network=NETWORK):
    """A mountain of copies, and a ramp of features with a spike for each layer."""
    copies, (features, spikes) = plain(network), recomputed(network)
    n, most, least = network.arch[0], max(copies), max(high for _, high in spikes)
    low = [("L", *at(i, value)) for i, value in enumerate(features)]
    for i, (before, high) in enumerate(spikes):
        x = n + i
        low += [("L", *at(x, before)), ("L", *at(x + 0.5, high))]
    low.append(("L", *at(2 * n, network.num_channels)))
    high = [("L", *at(i, value)) for i, value in enumerate(copies)]
    middle = at(n, 0)[0]
    parts = [
        *axes(n),
        path(["M", middle, BOTTOM, "V", TOP - 6], stroke=GREY, stroke_dasharray=4),
        text(LEFT + 8, TOP + 20, "channels", 18, GREY, "start"),
        line(high, LAYERS[0]),
        line(low, BLUE),
        text(middle - 12, at(n, most)[1] + 4, f"{most:,}", 20, anchor="end"),
        text(*at(n + 1.9, 1430), "plain", 20, anchor="start"),
        text(*at(n + 0.72, least + 40), f"{least:,}", 20, anchor="start"),
        text(*at(n - 0.2, 190), "recomputed", 20, anchor="end"),
    ]
    return drawing("step", 640, 372, "One training step of a dense block", say(), parts)


def say(network=NETWORK):
    """The drawing in words."""
    n, most = network.arch[0], max(plain(network))
    features, spikes = recomputed(network)
    return (
        f"Two curves over the {n} layers forward and the same {n} layers backward. Plain, "
        f"memory rises faster and faster to {most:,} channels at the turn, and falls "
        f"again. Recomputed, it rises in a straight line to {features[-1]} channels, then "
        f"has one spike for each layer, the first and highest of {spikes[0][1]} channels."
    )


def at(place, channels):
    """Where a place in the step and a number of channels are."""
    x = LEFT + (RIGHT - LEFT) * place / (2 * NETWORK.arch[0])
    return x, BOTTOM - (BOTTOM - TOP) * channels / MOST


def axes(n):
    """Lines and numbers for channels, and the names of the two passes."""
    for channels in range(0, MOST + 1, 500):
        _, y = at(0, channels)
        yield path(["M", LEFT, y, "H", RIGHT], stroke=LINE)
        yield text(LEFT - 10, y + 6, f"{channels:,}", 18, anchor="end")
    for i in range(2 * n):
        layer = i + 1 if i < n else 2 * n - i
        yield text(at(i + 0.5, 0)[0], BOTTOM + 24, layer, 18)
    yield text(at(n / 2, 0)[0], BOTTOM + 54, "layers, forward", 19, GREY)
    yield text(at(1.5 * n, 0)[0], BOTTOM + 54, "layers, backward", 19, GREY)


def line(parts, colour):
    """A line through places, each given with its command of SVG."""
    d = [part for piece in parts for part in piece]
    return path(["M", *d[1:]], stroke=colour, stroke_width=3, stroke_linejoin="round")
