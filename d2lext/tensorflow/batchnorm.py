"""How many values batch normalization averages: a single one leaves nothing to learn."""

import functools
import math

import keras

from d2lext.tensorflow.module import flatten


def values_per_channel(model, inputs):
    """The number of values per channel in each batch normalization, for training.

    `inputs` is a tuple. The model must be built, and does not change.
    """
    numbers = []

    def note(layer, call, X, *args, **kwargs):
        numbers.append(math.prod(X.shape) // X.shape[layer.axis])
        return call(X, *args, **kwargs)

    kind = keras.layers.BatchNormalization  # a frozen one uses its moving statistics
    layers = [x for x in flatten(model) if isinstance(x, kind) and x.trainable]
    before = [vars(layer).get("call") for layer in layers]
    try:
        for layer in layers:
            # Bypasses Keras' tracking of attributes.
            vars(layer)["call"] = functools.partial(note, layer, layer.call)
        model(*inputs)
    finally:
        for layer, call in zip(layers, before, strict=True):
            vars(layer).pop("call", None)
            if call is not None:
                vars(layer)["call"] = call
    return numbers
