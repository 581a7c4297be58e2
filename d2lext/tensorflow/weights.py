"""Weights of DenseNets in TensorFlow: by canonical name, to and from NumPy and files."""

import numpy as np
from keras import layers

from d2lext.core.densenet import weights as core
from d2lext.tensorflow.module import flatten

_KINDS = {
    layers.Conv2D: "conv",
    layers.BatchNormalization: "norm",
    layers.Dense: "linear",
}
_NAMES = {  # Keras' own
    "conv": {"weight": "kernel"},
    "linear": {"weight": "kernel"},
    "norm": {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    },
}


def architecture_of(model):
    """The architecture of a built DenseNet.

    Raises TypeError for other models and ValueError for one that is not built, or whose
    layers are not those that its hyperparameters describe.
    """
    return _match(model)[0]


def get_weights(model):
    """A copy of the weights by canonical name, NumPy arrays in canonical layout."""
    return {name: to_numpy(var) for name, var in named_tensors(model).items()}


def set_weights(model, weights):
    """Give `model` the `weights`, as `get_weights` returns them.

    Raises ValueError, and changes nothing, unless they fit exactly.
    """
    architecture, _ = _match(model)
    weights = core.check(weights, architecture)
    for name, variable in named_tensors(model).items():
        variable.assign(_own(weights[name]))


def save_weights(model, path):
    """Write the weights to `path`, as safetensors that every framework here reads."""
    core.save(path, get_weights(model), architecture_of(model))


def load_weights(model, path):
    """Give `model` the weights in the file at `path`.

    It may come from `save_weights`, torchvision, Keras or Gluon: its content tells which.
    Raises ValueError, and changes nothing, unless all tensors fit.
    """
    set_weights(model, core.load(path, architecture_of(model)))


def named_tensors(model):
    """The model's own variables, running statistics included, by canonical name."""
    architecture, found = _match(model)
    named = {}
    for layer, own in zip(architecture.layers(), found, strict=True):
        for name in layer.tensors():
            last = name.rpartition(".")[2]
            named[name] = getattr(own, _NAMES[layer.kind].get(last, last))
    return named


def check_built(model):
    """Raise ValueError if the model has no weights yet."""
    if not all(layer.built for layer in flatten(model) if type(layer) in _KINDS):
        raise core.not_built(model)


def to_numpy(array):
    """A copy of a parameter, gradient or statistic, in canonical layout."""
    return np.array(_canonical(np.asarray(array)), np.float32, order="C")


def _canonical(array):
    """(h, w, in, out) as (out, in, h, w), and (in, out) as (out, in)."""
    return array if array.ndim == 1 else np.moveaxis(array, (-1, -2), (0, 1))


def _own(array):
    """The reverse of `_canonical`."""
    return array if array.ndim == 1 else np.moveaxis(array, (0, 1), (-1, -2))


def _match(model):
    """The architecture, and the Keras layer of each of its layers."""
    # Keras begins with the last layer.
    found = [layer for layer in flatten(model) if type(layer) in _KINDS][::-1]
    check_built(model)
    shapes = [_canonical(np.empty(_weight(layer).shape)).shape for layer in found]
    kinds = [_KINDS[type(layer)] for layer in found]
    return core.match(model, list(zip(kinds, shapes, strict=True))), found


def _weight(layer):
    is_norm = isinstance(layer, layers.BatchNormalization)
    return layer.gamma if is_norm else layer.kernel
