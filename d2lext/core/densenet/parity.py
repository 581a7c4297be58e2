"""When two frameworks compute the same: how far float32 numbers may lie apart."""

import numpy as np

# The largest difference that is allowed, as a share of the largest number compared.
# Each operation of float32 rounds by up to 2^-24 = 6e-8, and frameworks add up their
# sums in different orders. A forward pass through some dozen layers so comes to about
# 1e-6; with the statistics of a minibatch it divides by deviations that carry errors
# of their own; the backward pass doubles the number of layers, and its sums cancel.
# A step of training starts from the errors of all steps before it.
TOLERANCES = {
    "logits, evaluation": 5e-6,
    "logits, training": 2e-5,
    "loss": 5e-6,
    "gradients": 5e-4,
    "statistics": 5e-6,
    "losses of 10 steps": 1e-4,
    "weights after 10 steps": 3e-4,
}


def difference(a, b):
    """The largest difference between `a` and `b`, as a share of the largest number.

    Of dicts of arrays the largest of all; arrays that are small beside the others count
    as a tenth of the largest: the gradient of a bias that the next normalization takes
    away again is rounding alone.
    """
    if isinstance(a, dict):
        if list(a) != list(b):
            raise ValueError("two sets of arrays must have the same names")
        floor = 0.1 * max(np.abs(array).max() for array in b.values())
        return max(_difference(a[name], b[name], floor) for name in a)
    return _difference(a, b, 0)


def compare(step, reference):
    """The differences of two results of `examine`, by the names in TOLERANCES.

    The statistics of both must be those of the population: see `population`.
    """
    return {
        "logits, training": difference(step.logits, reference.logits),
        "loss": difference(step.loss, reference.loss),
        "gradients": difference(step.gradients, reference.gradients),
        "statistics": difference(step.statistics, reference.statistics),
    }


def population(statistics, start, counts, steps=1):
    """PyTorch's running statistics after `steps` from `start`, as the others keep them.

    PyTorch takes the unbiased variance of the N = n * h * w numbers of a channel in a
    minibatch, the others that of the population: what the steps have added to a running
    variance shrinks by (N - 1) / N. `counts` are the N by the name of the layer.
    """
    converted = dict(statistics)
    for name in statistics:
        layer, _, last = name.rpartition(".")
        if last == "running_var":
            N = counts[layer]
            kept = 0.9**steps * start[name]
            converted[name] = kept + (statistics[name] - kept) * (N - 1) / N
    return converted


def pixels(architecture, size):
    """How many pixels each normalization reads, by name, of square images of `size`."""
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
