"""What a DenseNet computes beside its weights, which a file of them does not tell.

These are its layers without weights, activations and pooling, and the strides of its
convolutions.
"""

import itertools
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from d2lext.core.densenet.architecture import Architecture

RELU, GLOBAL = "ReLU", "global average pooling"
MAX, AVERAGE = "3x3 max pooling", "2x2 average pooling"

Found = Iterable[tuple[str, str]]  # what layers are, and their names, in forward order


def expected(architecture: Architecture, head: bool) -> Iterator[tuple[str, str]]:
    """(what it is, the layer that it precedes or is) of a DenseNet's layers.

    What a layer is: conv, norm or linear, or one of this module's constants.
    """
    for layer in architecture.layers(head):
        if layer.kind == "conv" and ".transition" in layer.name:
            yield AVERAGE, layer.name
        if layer.kind == "linear":
            yield GLOBAL, layer.name
        yield layer.kind, layer.name
        if layer.kind == "norm" and (head or layer.name != "features.norm5"):
            yield RELU, layer.name
        if layer.name == "features.norm0":
            yield MAX, layer.name


def pooling(kind: str, window: Any, stride: Any) -> str | None:
    """The `kind` of a pooling, MAX or AVERAGE, if a DenseNet has it so."""
    expected_window, expected_stride = {MAX: (3, 2), AVERAGE: (2, 2)}[kind]
    # Both may be numbers, or numbers for each axis.
    same = np.equal(window, expected_window).all()
    return kind if same and np.equal(stride, expected_stride).all() else None


def difference(architecture: Architecture, found: Found, head: bool) -> str | None:
    """The first layer of a model that is not a DenseNet's, in words; None if all are.

    Without `head`, what follows the features does not count. A function that no layer has
    is taken to be in the code, such as `relu(X)`.
    """
    layers = list(expected(architecture, head))
    found = list(_pooled_first(found))
    kinds, of_layers = {kind for kind, _ in layers}, {kind for kind, _ in found}
    if of_layers <= kinds:
        layers = [layer for layer in layers if layer[0] in of_layers]
    for (kind, _), layer in itertools.zip_longest(
        layers, found if head else found[: len(layers)], fillvalue=(None, None)
    ):
        if layer[0] != kind:
            got = " ".join(filter(None, layer)) or "nothing"
            return f"{got} {'in place of ' + kind if kind else 'after all others'}"
    return None


def check(model: Any, architecture: Architecture, found: Found) -> None:
    """Raise ValueError if a layer of the model is not a DenseNet's."""
    if other := difference(architecture, found, head=True):
        raise ValueError(
            f"{type(model).__name__} must have the layers of a DenseNet, got {other}, "
            "which a file of weights does not tell: save the model as its framework does"
        )


def warn_of_strides(
    model: Any, architecture: Architecture, options: dict[str, Any]
) -> None:
    """Warn of the first convolution whose strides are not those of a DenseNet."""
    for layer in architecture.layers():
        if layer.kind == "conv" and layer.name in options:
            in_stem = layer.name == "features.conv0" and not architecture.small_images
            strides = (2, 2) if in_stem else (1, 1)
            if (found := tuple(options[layer.name])) != strides:
                warnings.warn(
                    f"{layer.name} of {type(model).__name__} has strides {found}, a "
                    f"DenseNet's has {strides}, and a file of weights does not tell: load "
                    "it into a model that was changed likewise",
                    stacklevel=3,
                )
                return


def _pooled_first(found: Found) -> Iterator[tuple[str, str]]:
    """The layers with each 1x1 convolution after its average pooling: they commute."""
    layers = list(found)
    for i, (kind, _) in enumerate(layers[1:], 1):
        if kind == AVERAGE and layers[i - 1][0] == "conv":
            layers[i - 1 : i + 1] = layers[i], layers[i - 1]
    yield from layers
