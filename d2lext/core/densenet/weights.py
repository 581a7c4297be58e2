"""Weights by canonical name: checks that they fit a network, and saves and loads them.

A backend finds the layers of a model, and reads and writes their tensors; the rest is
shared.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from d2lext.core.densenet import formats
from d2lext.core.densenet.architecture import Architecture
from d2lext.core.files import named

Arrays = dict[str, np.ndarray]


class Weights:
    """A backend's public functions on weights.

    The backend provides three functions: `match(model)` gives the architecture of a built
    DenseNet, `read(model)` a copy of its weights by canonical name, and
    `write(model, weights)` sets weights that fit.
    """

    def __init__(
        self,
        match: Callable[[Any], Architecture],
        read: Callable[[Any], Arrays],
        write: Callable[[Any, Arrays], None],
    ) -> None:
        self._match, self._read, self._write = match, read, write

    def architecture_of(self, model: Any) -> Architecture:
        """The architecture of a built DenseNet.

        Raises TypeError for other models, and ValueError for one that is not built or
        whose layers are not those that its hyperparameters describe.
        """
        return self._match(model)

    def get_weights(self, model: Any) -> Arrays:
        """A copy of the weights by canonical name, NumPy arrays in canonical layout."""
        return self._read(model)

    def set_weights(self, model: Any, weights: Arrays) -> None:
        """Give `model` the `weights`, in the form that `get_weights` returns.

        Raises ValueError, and changes nothing, unless they fit exactly.
        """
        self._write(model, _check(weights, self._match(model)))

    def save_weights(self, model: Any, path: str | os.PathLike) -> None:
        """Write the weights to `path`, as safetensors that every backend can load.

        A missing folder is made.
        """
        path = named(path)
        architecture = self._match(model)
        formats.write(path, _check(self._read(model), architecture), architecture)

    def load_weights(self, model: Any, path: str | os.PathLike) -> None:
        """Give `model` the weights in the file at `path`.

        It may come from `save_weights`, torchvision, Keras or Gluon; the format is
        inferred. Raises ValueError, and changes nothing, unless all tensors fit.
        """
        path = named(path)
        self.set_weights(model, _load(path, self._match(model)))


def match(model: Any, layers: Sequence[tuple[str, tuple[int, ...]]]) -> Architecture:
    """The architecture of `model`, whose layers have these kinds and shapes.

    Raises ValueError if they are not those that its hyperparameters describe.
    """
    in_channels = layers[0][1][1] if layers and layers[0][0] == "conv" else 1
    architecture = Architecture.of(model, in_channels)
    expected = architecture.layers()
    for layer, (kind, shape) in zip(expected, layers, strict=False):
        if (layer.kind, layer.shape) != (kind, shape):
            raise ValueError(
                f"the layers of this {type(model).__name__} are not those of a "
                f"DenseNet with its hyperparameters: {layer.name} should be "
                f"{layer.kind} {layer.shape}, but is {kind} {shape}"
            )
    if len(expected) != len(layers):
        raise ValueError(
            f"a DenseNet with these hyperparameters has {len(expected)} layers with "
            f"weights, but this {type(model).__name__} has {len(layers)}"
        )
    return architecture


def not_built(model: Any) -> ValueError:
    """The error for a model without weights."""
    return ValueError(
        f"{type(model).__name__} has no weights before its first input: call it on a "
        "batch, or layer_summary(X_shape), or build it with create_model"
    )


def _check(weights: Arrays, architecture: Architecture) -> Arrays:
    """The `weights` in canonical order, contiguous; ValueError unless they fit exactly.

    Missing or unknown names, wrong shapes or types, and non-finite numbers do not fit.
    """
    shapes = architecture.tensors()
    formats.check(weights, shapes, "the weights")
    return {name: np.ascontiguousarray(weights[name]) for name in shapes}


def _load(path: str | os.PathLike, architecture: Architecture) -> Arrays:
    """The weights in a file of any format that `formats` knows.

    Raises ValueError if the file is damaged, of unknown format, or does not fit; if it
    names its architecture, the error names the first difference.
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
