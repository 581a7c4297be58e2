"""Weights by canonical name: whether they fit a network, and their way to files.

A backend says what layers its model has; names, shapes and files are the same for all.
"""

import numpy as np

from d2lext.core.densenet import formats
from d2lext.core.densenet.architecture import Architecture


def match(model, found):
    """The architecture of `model`, whose layers have the kinds and shapes `found`.

    Raises ValueError where they are not those that its hyperparameters describe.
    """
    in_channels = found[0][1][1] if found and found[0][0] == "conv" else 1
    architecture = Architecture.of(model, in_channels)
    layers = architecture.layers()
    for layer, (kind, shape) in zip(layers, found, strict=False):
        if (layer.kind, layer.shape) != (kind, shape):
            raise ValueError(
                f"the layers of this {type(model).__name__} are not those of a "
                f"DenseNet with its hyperparameters: {layer.name} would be "
                f"{layer.kind} {layer.shape}, but is {kind} {shape}"
            )
    if len(layers) != len(found):
        raise ValueError(
            f"a DenseNet with these hyperparameters has {len(layers)} layers with "
            f"weights, but this {type(model).__name__} has {len(found)}"
        )
    return architecture


def not_built(model):
    """The error for a model without weights."""
    return ValueError(
        f"{type(model).__name__} has no weights before its first input: call it on a "
        "batch, or layer_summary(X_shape), or build it with create_model"
    )


def check(weights, architecture):
    """`weights` by canonical name, once they are found to fit the architecture.

    Raises ValueError for a missing or an unknown name, a wrong shape or type of number,
    and for numbers that are not finite.
    """
    shapes = architecture.tensors()
    formats.check(weights, shapes, "the weights")
    return {name: np.ascontiguousarray(weights[name]) for name in shapes}


def save(path, weights, architecture):
    """Write canonical weights to `path`; the file is there as a whole or not at all."""
    formats.write(path, check(weights, architecture), architecture)


def load(path, architecture):
    """The canonical weights in a file of any format that `formats` knows.

    Raises ValueError where the file is damaged, of no known format, or does not fit;
    where it names its architecture, the error names the first difference.
    """
    saved = formats.read_metadata(path)
    for name, here in architecture.options().items():
        if saved and name in saved and saved[name] != here:
            raise ValueError(
                f"{path} holds the weights of a network with {name}={saved[name]!r}, "
                f"but this one has {name}={here!r}: build it with {name}="
                f"{saved[name]!r}, or choose another file"
            )
    return formats.read(path, architecture.layers())
