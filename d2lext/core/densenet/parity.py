"""Parity: how far apart the float32 results of two frameworks may be."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from d2lext.core.densenet.architecture import Architecture

Arrays = Mapping[str, np.ndarray]  # by canonical names
# The largest difference allowed, as a share of the largest number compared. Each float32
# operation rounds by up to 2^-24 = 6e-8, and frameworks sum in different orders. Over a
# few dozen layers, a forward pass thus reaches about 1e-6; in training mode it also
# divides by a minibatch's deviations, which have errors too; the backward pass doubles
# the number of layers, and its sums cancel. A training step inherits the errors of all
# steps before it.
TOLERANCES = {
    "logits, evaluation": 5e-6,
    "logits, training": 2e-5,
    "loss": 5e-6,
    "gradients": 5e-4,
    "statistics": 5e-6,
    "losses of 10 steps": 1e-4,
    "weights after 10 steps": 3e-4,
}


class Step(NamedTuple):
    """The results of one training step, by canonical names and in canonical layouts.

    `statistics` are BatchNorm's running means and variances after it, as the framework
    keeps them.
    """

    logits: np.ndarray
    loss: float
    gradients: dict[str, np.ndarray]
    statistics: dict[str, np.ndarray]


def difference(a: Arrays | ArrayLike, b: Arrays | ArrayLike) -> float:
    """The largest difference between `a` and `b`, as a share of the largest number.

    For dicts of arrays it is the largest over all of them. Arrays far smaller than the
    others count as a tenth of the largest: the gradient of a bias that the next
    normalization cancels is mere rounding.
    """
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        if list(a) != list(b):
            raise ValueError("two sets of arrays must have the same names")
        floor = 0.1 * max(np.abs(array).max() for array in b.values())
        return max(_difference(a[name], b[name], floor) for name in a)
    return _difference(a, b, 0)


def compare(step: Step, reference: Step) -> dict[str, float]:
    """The differences between two results of `examine`, by the names in TOLERANCES.

    Both must keep the population variance: see `population`.
    """
    return {
        "logits, training": difference(step.logits, reference.logits),
        "loss": difference(step.loss, reference.loss),
        "gradients": difference(step.gradients, reference.gradients),
        "statistics": difference(step.statistics, reference.statistics),
    }


def population(
    statistics: Arrays, start: Arrays, counts: Mapping[str, int], steps: int = 1
) -> dict[str, np.ndarray]:
    """PyTorch's running statistics after `steps` from `start`, in the others' convention.

    PyTorch uses the unbiased variance of the N = n * h * w numbers of a channel in a
    minibatch, the others the population variance: what the steps added to a running
    variance is scaled by (N - 1) / N. `counts` holds each layer's N by its name.
    """
    converted = dict(statistics)
    for name in statistics:
        layer, _, last = name.rpartition(".")
        if last == "running_var":
            N = counts[layer]
            kept = 0.9**steps * start[name]
            converted[name] = kept + (statistics[name] - kept) * (N - 1) / N
    return converted


def pixels(architecture: Architecture, size: int) -> dict[str, int]:
    """The pixels that each normalization reads, by name, for square images of `size`."""
    sides = {"features.norm0": size // 2}
    size //= 1 if architecture.small_images else 4
    for layer in architecture.layers():
        if layer.kind == "norm" and layer.name not in sides:
            sides[layer.name] = size
            if "transition" in layer.name:
                size //= 2
    return {name: side**2 for name, side in sides.items()}


def _difference(a, b, floor):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"shapes must agree, got {a.shape} and {b.shape}")
    return float(np.abs(a - b).max() / max(np.abs(b).max(), floor))
