"""Weights of DenseNets in TensorFlow: by canonical name, to and from NumPy and files."""

import numpy as np
from keras import layers

from d2lext.core.densenet import weights as core
from d2lext.core.densenet.layouts import hwio_to_oihw, oihw_to_hwio
from d2lext.tensorflow.module import flatten

__all__ = [
    "architecture_of",
    "get_weights",
    "set_weights",
    "save_weights",
    "load_weights",
]

_KINDS = {
    layers.Conv2D: "conv",
    layers.BatchNormalization: "norm",
    layers.Dense: "linear",
}
_KERAS = {  # its names
    "conv": {"weight": "kernel"},
    "linear": {"weight": "kernel"},
    "norm": {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    },
}


def named_tensors(model, head=True):
    """The model's own variables, running statistics included, by canonical name.

    Without `head`, those of the features alone, whatever follows them.
    """
    architecture, keras_layers = _match(model, head)
    named = {}
    expected = architecture.layers(head)
    for layer, keras_layer in zip(expected, keras_layers, strict=head):
        for name in layer.tensors():
            last = name.rpartition(".")[2]
            named[name] = getattr(keras_layer, _KERAS[layer.kind].get(last, last))
    return named


def check_built(model):
    """Raise ValueError if the model has no weights yet."""
    if not all(layer.built for layer in flatten(model) if type(layer) in _KINDS):
        raise core.not_built(model)


def to_numpy(array):
    """A copy of a parameter, gradient or statistic, in canonical layout."""
    return np.array(hwio_to_oihw(np.asarray(array)), np.float32, order="C")


def _match(model, head=True):
    """The architecture, and the Keras layer of each of its layers."""
    # Keras begins with the last layer.
    keras_layers = [l for l in flatten(model) if type(l) in _KINDS][::-1]
    check_built(model)
    kinds = [_KINDS[type(layer)] for layer in keras_layers]
    weights = [np.empty(_weight(layer).shape) for layer in keras_layers]
    shapes = [hwio_to_oihw(weight).shape for weight in weights]
    found = list(zip(kinds, shapes, strict=True))
    return core.match(model, found, head), keras_layers


def _weight(layer):
    is_norm = isinstance(layer, layers.BatchNormalization)
    return layer.gamma if is_norm else layer.kernel


def _read(model):
    return {name: to_numpy(var) for name, var in named_tensors(model).items()}


def _write(model, weights):
    for name, variable in named_tensors(model, core.has_head(weights)).items():
        variable.assign(oihw_to_hwio(weights[name]))


_weights = core.Weights(lambda model, head: _match(model, head)[0], _read, _write)
architecture_of = _weights.architecture_of
get_weights = _weights.get_weights
set_weights = _weights.set_weights
save_weights = _weights.save_weights
load_weights = _weights.load_weights
