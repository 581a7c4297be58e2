"""What a training step must compute and move, from the network's shapes.

FLOP are those of convolutions and matrix products, two for each multiply-add. The
backward pass needs each product twice, for the gradient of the weights and for that of
the input; only the first layer skips the latter. Nothing is measured here.
"""

import math
from typing import NamedTuple


class Op(NamedTuple):
    """A layer in one forward pass: its FLOP and the number of values that it writes."""

    name: str
    kind: str  # conv, linear, norm (with its ReLU) or pool
    flop: int
    values: int


class Cost(NamedTuple):
    """A training step: FLOP, activation values and parameters.

    `activations` are the values that the layers of one forward pass write; a ReLU
    counts with its norm, and concatenations do not count.
    """

    forward_flop: int
    backward_flop: int
    activations: int
    params: int

    @property
    def flop(self):
        """FLOP of the whole step."""
        return self.forward_flop + self.backward_flop

    def bytes(self, itemsize=4):
        """The fewest bytes that a step can move, layer by layer.

        Forward, each activation is written once and read once. Backward, it is read
        again and its gradient is written and read. Parameters are read in both passes;
        their gradients are written and read, and the parameters are rewritten.
        """
        return 5 * self.activations * itemsize + 5 * self.params * 4


def ops(architecture, batch, size, pool_first=False):
    """The layers of a forward pass on `batch` images of `size` (height, width).

    `architecture` is an `Architecture` of `d2lext.core.densenet`. `pool_first` lets the
    transitions pool before their 1x1 convolution; both are linear, so the network is
    the same, but the convolution reads a quarter of the pixels.
    """
    layers, (h, w) = [], size

    def add(name, kind, channels, flop_per_value=0):
        values = batch * h * w * channels
        layers.append(Op(name, kind, flop_per_value * values, values))

    for layer in architecture.layers():
        is_transition = ".transition" in layer.name and layer.kind == "conv"
        if layer.kind == "norm":
            add(layer.name, "norm", layer.shape[0])
            if layer.name == "features.norm0":
                h, w = (h + 1) // 2, (w + 1) // 2  # 3x3 at stride 2, padding 1
                add("features.pool0", "pool", layer.shape[0])
            continue
        if layer.kind == "linear":
            h = w = 1
            add("features.pool", "pool", layer.shape[1])
        elif layer.name == "features.conv0" and not architecture.small_images:
            h, w = (h + 1) // 2, (w + 1) // 2  # 7x7 at stride 2, padding 3
        elif is_transition and pool_first:
            h, w = h // 2, w // 2
            add(f"{layer.name}.pool", "pool", layer.shape[1])
        add(layer.name, layer.kind, layer.shape[0], 2 * math.prod(layer.shape[1:]))
        if is_transition and not pool_first:
            h, w = h // 2, w // 2
            add(f"{layer.name}.pool", "pool", layer.shape[0])
    return layers


def step_cost(architecture, batch=128, size=(96, 96), pool_first=False):
    """The cost of a training step; `Cost` says what it counts."""
    layers = ops(architecture, batch, size, pool_first)
    forward = sum(op.flop for op in layers)
    first = next(op.flop for op in layers if op.kind == "conv")
    activations = sum(op.values for op in layers)
    return Cost(forward, 2 * forward - first, activations, architecture.num_params)
