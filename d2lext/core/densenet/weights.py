"""Weights by canonical name: checks that they fit a network, and saves and loads them.

A backend finds the layers of a model, and reads and writes their tensors; the rest is
shared.
"""

import operator
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from d2lext.core.densenet import formats
from d2lext.core.densenet.architecture import Architecture
from d2lext.core.files import named

Arrays = dict[str, np.ndarray]
_OPTIONS = {  # of load_weights, with which a file fits a network that differs
    "num_classes": "or use load_weights(..., head=False) or classes=[...]",
    "in_channels": "or use load_weights(..., adapt_input=True)",
}


class Weights:
    """A backend's public functions on weights.

    The backend provides three functions: `match(model, head)` gives the architecture of a
    built DenseNet, whose head may be another one unless `head`; `read(model)` gives a copy
    of its weights by canonical name, and `write(model, weights)` sets weights that fit,
    all or those of the features.
    """

    def __init__(
        self,
        match: Callable[[Any, bool], Architecture],
        read: Callable[[Any], Arrays],
        write: Callable[[Any, Arrays], None],
    ) -> None:
        self._match, self._read, self._write = match, read, write

    def architecture_of(self, model: Any) -> Architecture:
        """The architecture of a built DenseNet.

        Raises TypeError for other models, and ValueError for one that is not built or
        whose layers are not those that its hyperparameters describe.
        """
        return self._match(model, True)

    def get_weights(self, model: Any) -> Arrays:
        """A copy of the weights by canonical name, NumPy arrays in canonical layout."""
        return self._read(model)

    def set_weights(self, model: Any, weights: Arrays) -> None:
        """Give `model` the `weights`, in the form that `get_weights` returns.

        Arrays of other floating-point types become float32. Raises ValueError, and
        changes nothing, unless they fit exactly.
        """
        architecture = self._match(model, True)
        self._write(model, _check(weights, architecture))

    def save_weights(self, model: Any, path: str | os.PathLike) -> None:
        """Write the weights to `path`, as safetensors that every backend can load.

        A missing folder is made.
        """
        path = named(path)
        architecture = self._match(model, True)
        formats.write(path, _check(self._read(model), architecture), architecture)

    def load_weights(
        self,
        model: Any,
        path: str | os.PathLike,
        *,
        head: bool = True,
        adapt_input: bool = False,
        classes: Sequence[int] | None = None,
    ) -> None:
        """Give `model` the weights in the file at `path`, as float32.

        The file may come from `save_weights`, torchvision, timm, Keras or Gluon, or be a
        model of this library that its framework saved, such as a PyTorch state_dict or
        Flax' msgpack. A checkpoint may hold more than weights, and names may have any
        prefix; nothing in a file is executed. For transfer:

            model = d2l.densenet121(num_classes=14)
            d2l.load_weights(model, path, head=False)  # features; the head stays
            d2l.load_weights(two, path, classes=[281, 285])  # these classes of the file
            d2l.load_weights(grey, path, adapt_input=True)  # other channels

            class Mine(d2l.DenseNetBC):  # a head of several layers
                def head(self):
                    return [*super().head()[:-1], *layers]

        The first three are saved with `save_weights`, the last as its framework does; its
        features load from that file with `head=False`. `adapt_input` sums the first
        convolution for one channel, and repeats and scales it for more, as timm does. A
        Rescaling or Normalization in front of Keras' network, an error otherwise, is then
        a warning and left to you. Keras' epsilon, 1.001e-5 if a file of weights does not
        say it, goes into the running variances, which is exact for evaluation.

        Warns if the file holds several networks, and takes the one that was trained.
        Raises ValueError, and changes nothing, unless all tensors fit.
        """
        path = named(path, folders=True)  # Orbax writes one, and has a message
        architecture = self._match(model, head)
        if classes is not None:
            classes = _rows(classes, architecture.num_classes, head)
        layers = architecture.layers(head)
        differing = {
            "num_classes": head and classes is None,
            "in_channels": not adapt_input,
        }
        _check_options(path, architecture, differing)
        weights = formats.read(path, layers, adapt_input=adapt_input, classes=classes)
        self._write(model, weights)


def has_head(weights: Arrays) -> bool:
    """Whether the weights are those of the classifier, too."""
    return "classifier.weight" in weights


def match(
    model: Any, layers: Sequence[tuple[str, tuple[int, ...]]], head: bool
) -> Architecture:
    """The architecture of `model`, whose layers have these kinds and shapes.

    Raises ValueError if they are not those that its hyperparameters describe; those of
    the head count only with `head`.
    """
    in_channels = layers[0][1][1] if layers and layers[0][0] == "conv" else 1
    architecture = Architecture.of(model, in_channels)
    expected = architecture.layers(head)
    for layer, (kind, shape) in zip(expected, layers, strict=False):
        if (layer.kind, layer.shape) != (kind, shape):
            raise ValueError(
                f"{type(model).__name__} must have the layers that its hyperparameters "
                f"describe, {layer.name} of {layer.kind} {layer.shape}, got {kind} "
                f"{shape}: if its head is of your own, load the features with "
                "load_weights(..., head=False), and save the model as its framework does"
            )
    if len(layers) < len(expected) or head and len(layers) > len(expected):
        raise ValueError(
            f"{type(model).__name__} must have {len(expected)} layers with weights for "
            f"its hyperparameters, got {len(layers)}: if its head is of your own, load "
            "the features with load_weights(..., head=False), and save the model as its "
            "framework does"
        )
    return architecture


def not_built(model: Any) -> ValueError:
    """The error for a model without weights."""
    return ValueError(
        f"{type(model).__name__} has no weights before its first input: call it on a "
        "batch, or layer_summary(X_shape), or build it with create_model"
    )


def _check(weights: Arrays, architecture: Architecture) -> Arrays:
    """The `weights` in canonical order, float32; ValueError unless they fit exactly.

    Missing or unknown names, wrong shapes or types, and non-finite numbers do not fit.
    """
    shapes = architecture.tensors()
    return formats.check(weights, shapes, "the weights")


def _rows(classes: Sequence[int], count: int, head: bool) -> list[int]:
    """The `classes` as integers; ValueError unless they are as many as the model has."""
    if not head:
        raise ValueError(
            f"head must be True for classes, got head={head!r}: the classes are rows of "
            "the file's head, so give one of the two options"
        )
    try:
        rows = [operator.index(number) for number in classes]
    except TypeError:
        raise ValueError(
            f"classes must be a list of integers, got {classes!r}: give the numbers of "
            "the file's classes, from 0"
        ) from None
    if len(rows) != count:
        raise ValueError(
            f"classes must be as many as the model has, {count}, got {len(rows)}: "
            f"build it with num_classes={len(rows)}"
        )
    return rows


def _check_options(
    path: str | os.PathLike, architecture: Architecture, compared: dict[str, bool]
) -> None:
    """Raise ValueError for the first option in which a file of this library differs.

    Those that are False in `compared` may differ.
    """
    saved = formats.read_metadata(path)
    for name, here in architecture.options().items():
        if saved and name in saved and saved[name] != here and compared.get(name, True):
            raise ValueError(
                f"{path} holds the weights of a network with {name}={saved[name]!r}, "
                f"but this one has {name}={here!r}: build it with {name}="
                f"{saved[name]!r}, {_OPTIONS.get(name, 'or choose another file')}"
            )
