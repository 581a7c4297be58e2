"""Weights by canonical name: checks that they fit a network, and saves and loads them.

A backend finds the layers of a model, and reads and writes their tensors; the rest is
shared.
"""

import operator
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from d2lext.core.densenet import computation, formats
from d2lext.core.densenet.architecture import Architecture
from d2lext.core.densenet.formats.tensors import EPSILON, some
from d2lext.core.files import named
from d2lext.core.turns import turn

Arrays = dict[str, np.ndarray]
_OPTIONS = {  # of load_weights, with which a file fits a network that differs
    "num_classes": "or use load_weights(..., head=False) or classes=[...]",
    "in_channels": "or use load_weights(..., adapt_input=True)",
}


_OWN_HEAD = (
    "if its head is of your own, load the features with load_weights(..., head=False), "
    "and save the model as its framework does"
)


class Weights:
    """A backend's public functions on weights.

    The backend provides five functions: `match(model, head)` gives the architecture of a
    built DenseNet, whose head may be another one unless `head`; `read(model)` gives a copy
    of its weights by canonical name, and `write(model, weights)` sets weights that fit,
    all or those of the features. `options(model, head)` gives what each normalization
    adds to a variance, and the strides of each convolution, by the layer's name; it may
    lack those that are known to be a DenseNet's. `computed(model)` gives what all
    layers are, as `computation.difference` takes them.
    """

    def __init__(
        self,
        match: Callable[[Any, bool], Architecture],
        read: Callable[[Any], Arrays],
        write: Callable[[Any, Arrays], None],
        options: Callable[[Any, bool], dict[str, Any]],
        computed: Callable[[Any], computation.Found],
    ) -> None:
        self._match, self._options, self._computed = match, options, computed
        self._read_as_it_is, self._write_as_it_is = read, write

    def architecture_of(self, model: Any) -> Architecture:
        """The architecture of a built DenseNet.

        Raises TypeError for other models, and ValueError for one that is not built or
        whose layers and tensors are not those that its hyperparameters describe.
        """
        return self._match(model, True)

    def get_weights(self, model: Any) -> Arrays:
        """A copy of the weights by canonical name, NumPy arrays in canonical layout.

        Of a normalization whose epsilon is not 1e-5, the running variance is the one that
        gives the same outputs with 1e-5. Raises ValueError for a model that has other
        tensors as well.
        """
        self._match(model, True)
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

        A missing folder is made. The file tells nothing but weights: raises ValueError for
        a model whose layers without weights, such as activations, are not a DenseNet's, and
        warns of other strides. What a method computes beside layers is not seen.
        """
        path = named(path)
        architecture = self._match(model, True)
        computation.check(model, architecture, self._computed(model))
        computation.warn_of_strides(model, architecture, self._options(model, True))
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
        say it, goes into the running variances, which is exact for evaluation; so does that
        of the model's own normalizations.

        Warns if the file holds several networks, and takes the one that was trained; also
        of tensors beside it that may be needed, and of a layer of the model without
        weights, such as an activation, that is not a DenseNet's. Raises ValueError, and
        changes nothing, unless all tensors fit.
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
        found = computation.difference(architecture, self._computed(model), head)
        if found:
            warnings.warn(
                f"{type(model).__name__} has {found}: with the weights in {path} it does "
                "not compute what the DenseNet did that they were saved from",
                stacklevel=2,
            )

    def _read(self, model: Any) -> Arrays:
        """The weights with which this library's epsilon gives the model's outputs."""
        options = self._options(model, True)
        with turn(model):
            return _shifted(self._read_as_it_is(model), options, 1)

    def _write(self, model: Any, weights: Arrays) -> None:
        """The reverse of `_read`."""
        options = self._options(model, has_head(weights))
        with turn(model):
            self._write_as_it_is(model, _shifted(weights, options, -1))


def has_head(weights: Arrays) -> bool:
    """Whether the weights are those of the classifier, too."""
    return "classifier.weight" in weights


def is_statistic(name: str) -> bool:
    """Whether a canonical name is that of a running mean or variance."""
    return name.endswith(("running_mean", "running_var"))


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
            classes = kind == "linear" and shape[1:] == layer.shape[1:]
            remedy = f"build it with num_classes={shape[0]}; " if classes else ""
            raise ValueError(
                f"{type(model).__name__} must have the layers that its hyperparameters "
                f"describe, {layer.name} of {layer.kind} {layer.shape}, got {kind} "
                f"{shape}: {remedy}{_OWN_HEAD}"
            )
    if len(layers) < len(expected) or head and len(layers) > len(expected):
        raise ValueError(
            f"{type(model).__name__} must have {len(expected)} layers with weights for "
            f"its hyperparameters, got {len(layers)}: {_OWN_HEAD}"
        )
    return architecture


def check_tensors(
    model: Any, own: Arrays, found: Iterable[tuple[str, Any]], head: bool
) -> None:
    """Raise ValueError unless a DenseNet's tensors are there, and no others.

    `own` are those of its layers by canonical name, None where one is missing; `found` are
    all that the model has, by the framework's names and in the order of its layers.
    Without `head`, what precedes and follows the features does not count.
    """
    network = type(model).__name__
    if missing := [name for name, tensor in own.items() if tensor is None]:
        raise ValueError(
            f"{network} must have all tensors of a DenseNet, it lacks {some(missing)}: "
            "save the model as its framework does"
        )
    known = {id(tensor) for tensor in own.values()}
    names = [(name, id(tensor) in known) for name, tensor in found]
    if not head:
        places = [i for i, (_, is_own) in enumerate(names) if is_own]
        names = names[places[0] : places[-1]]
    if others := [name for name, is_own in names if not is_own]:
        raise ValueError(
            f"{network} must have the tensors of a DenseNet alone, got {some(others)} as "
            "well, which a file of weights would lose: save the model as its framework does"
        )


def check_cast(name: str, is_finite: Any, dtype: Any) -> None:
    """Raise ValueError if a tensor of the model's own type is not finite any more."""
    if not is_finite:
        raise ValueError(
            f"the weights must fit the model's type, {name} has numbers that {dtype} turns "
            "into infinity: load them into a float32 model"
        )


def not_built(model: Any) -> ValueError:
    """The error for a model without weights."""
    return ValueError(
        f"{type(model).__name__} has no weights before its first input: call it on a "
        "batch, or layer_summary(X_shape), or build it with create_model"
    )


def _shifted(weights: Arrays, options: dict[str, Any], sign: int) -> Arrays:
    """The `weights`, with what normalizations add beyond 1e-5 in their variances."""
    shifted = dict(weights)
    for name, option in options.items():
        key = f"{name}.running_var"
        if key in weights and option != EPSILON:
            variance = weights[key].astype(np.float64) + sign * (option - EPSILON)
            shifted[key] = variance.astype(np.float32)
    return shifted


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
    if any(isinstance(number, bool | np.bool_) for number in classes):
        raise ValueError(
            "classes must be numbers of classes, got a mask: use numpy.flatnonzero(mask)"
        )
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
