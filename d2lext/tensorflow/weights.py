"""Weights of DenseNets in TensorFlow: by canonical name, to and from NumPy and files."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from d2lext.core.densenet import computation
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
_NO_EFFECT = (  # on predictions, or what a DenseNet pads as well
    layers.Dropout,
    layers.Flatten,
    layers.Identity,
    layers.InputLayer,
    layers.ZeroPadding2D,
)
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
    return _named(*_match(model, head), head)


def build_layers(model, architecture):
    """Build a DenseNet that has the `architecture`: its layers with weights, then itself.

    Its first call would do so, too, but three times as slowly: Keras traces what is in a
    Sequential when it builds that, once more for each layer around it.
    """
    keras_layers = _layers(model)
    for layer, keras_layer in zip(architecture.layers(), keras_layers, strict=True):
        channels = layer.shape[0 if layer.kind == "norm" else 1]
        space = () if layer.kind == "linear" else (None, None)
        keras_layer.build((None, *space, channels))
    for part in flatten(model.net):
        part.built = True
    model.net.build((None, None, None, architecture.in_channels))


def check_built(model):
    """Raise ValueError if the model has no weights yet."""
    if not all(layer.built for layer in flatten(model) if type(layer) in _KINDS):
        raise core.not_built(model)


def to_numpy(array):
    """A copy of a parameter, gradient or statistic, in canonical layout."""
    return np.array(hwio_to_oihw(np.asarray(array)), np.float32, order="C")


def _match(model, head=True):
    """The architecture, and the Keras layer of each of its layers."""
    keras_layers = _layers(model)
    check_built(model)
    kinds = [_KINDS[type(layer)] for layer in keras_layers]
    found = list(zip(kinds, map(_shape, keras_layers), strict=True))
    return core.match(model, found, head), keras_layers


def _named(architecture, keras_layers, head):
    """The variables of the layers; None where one is missing."""
    named = {}
    expected = architecture.layers(head)
    for layer, keras_layer in zip(expected, keras_layers, strict=head):
        for name in layer.tensors():
            last = name.rpartition(".")[2]
            named[name] = getattr(keras_layer, _KERAS[layer.kind].get(last, last))
    return named


def _architecture(model, head):
    """The architecture of a model that has a DenseNet's variables alone."""
    architecture, keras_layers = _match(model, head)
    own = _named(architecture, keras_layers, head)
    # Keras' `weights` are without the seeds of dropout and the state of metrics.
    parts = list(flatten(model))[::-1]  # layers before what they are in
    found = {id(var): (var.path, var) for part in parts for var in part.weights}
    core.check_tensors(model, own, found.values(), head)
    return architecture


def _layers(model):
    """The layers with weights, in the order of the forward pass."""
    return [l for l in flatten(model) if type(l) in _KINDS][::-1]  # Keras begins last


def _shape(layer):
    """The canonical shape of the layer's weight; () without one."""
    is_norm = isinstance(layer, layers.BatchNormalization)
    weight = getattr(layer, "gamma" if is_norm else "kernel", None)
    return () if weight is None else hwio_to_oihw(np.empty(weight.shape)).shape


def _read(model):
    return {name: to_numpy(var) for name, var in named_tensors(model).items()}


def _write(model, weights):
    variables = named_tensors(model, core.has_head(weights))
    for name, variable in variables.items():
        cast = tf.cast(weights[name], variable.dtype)
        core.check_cast(name, tf.reduce_all(tf.math.is_finite(cast)), variable.dtype)
    for name, variable in variables.items():
        variable.assign(oihw_to_hwio(weights[name]))


def _options(model, head):
    """The epsilon of each normalization, the strides of each convolution."""
    architecture, keras_layers = _match(model, head)
    names = {"norm": "epsilon", "conv": "strides"}
    layers_of = zip(architecture.layers(head), keras_layers, strict=head)
    return {l.name: getattr(k, names[l.kind]) for l, k in layers_of if l.kind in names}


def _computed(model):
    """(what it is, its name) of each layer, with weights or not, in forward order."""
    within = set(map(id, flatten(model.net)))
    for layer in list(flatten(model))[::-1]:  # Keras begins last
        if id(layer) not in within:
            continue
        if kind := _KINDS.get(type(layer)):
            yield kind, layer.name
        elif not (flatten(layer)[1:] or isinstance(layer, _NO_EFFECT)):
            yield _function(layer) or type(layer).__name__, layer.name
        activation = getattr(layer, "activation", None)
        if kind and activation not in (None, keras.activations.linear):
            yield _activation(activation), layer.name


def _function(layer):
    """What a layer without weights is, if a DenseNet has it."""
    kind = type(layer)
    if kind is layers.ReLU:
        options = layer.max_value, layer.negative_slope, layer.threshold
        return None if any(options) else computation.RELU
    if kind is layers.Activation:
        return _activation(layer.activation)
    if kind is layers.GlobalAveragePooling2D:
        return computation.GLOBAL
    if kind in (layers.MaxPooling2D, layers.AveragePooling2D):
        is_max = kind is layers.MaxPooling2D
        name = computation.MAX if is_max else computation.AVERAGE
        return computation.pooling(name, layer.pool_size, layer.strides)
    return None


def _activation(function):
    """What an activation is, by its name."""
    is_relu = function is keras.activations.relu
    return computation.RELU if is_relu else getattr(function, "__name__", str(function))


_weights = core.Weights(_architecture, _read, _write, _options, _computed)
architecture_of = _weights.architecture_of
get_weights = _weights.get_weights
set_weights = _weights.set_weights
save_weights = _weights.save_weights
load_weights = _weights.load_weights
