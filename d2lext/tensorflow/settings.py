"""Keras' global settings, and ours, which hold while a model of ours is made and trained.

Keras' layers copy them on construction: the precision in which they compute, the default
type of numbers, and whether channels are first or last.
"""

import contextlib
import threading

import keras

_lock = threading.Lock()
_within = 0  # how often `ours` was entered and not left yet, in all threads
_theirs = None  # the user's number type and order of channels, meanwhile


@contextlib.contextmanager
def ours():
    """Within, Keras makes layers for float32 and for images (n, h, w, c)."""
    policy = keras.config.dtype_policy()  # each thread has its own
    keras.config.set_dtype_policy("float32")
    _enter()
    try:
        yield
    finally:
        _leave()
        keras.config.set_dtype_policy(policy)


def check_layers(layers):
    """Raise ValueError if some were made outside of `ours`, with settings of the user.

    Our own layers never are; those that a user makes elsewhere and hands to a model may
    be. A setting that a layer was given explicitly stays, if it is not the global one.
    """
    policy = keras.config.dtype_policy().name
    for layer in layers:
        if policy != "float32" and layer.dtype_policy.name == policy:
            raise ValueError(
                "the trainer decides about precision, got the layer "
                f"{layer.name} with Keras' global policy {policy}: call "
                "keras.config.set_dtype_policy('float32') before you make the layer, or "
                "before fit() to let it compute as it does"
            )
        first = "channels_first"
        if keras.config.image_data_format() == first == _order(layer):
            raise ValueError(
                "images are (n, h, w, c) in TensorFlow, got the layer "
                f"{layer.name} with Keras' global format {first}: call "
                "keras.config.set_image_data_format('channels_last') before you make it"
            )


def _order(layer):
    return getattr(layer, "data_format", None)


def _enter():
    global _within, _theirs
    with _lock:
        if not _within:
            _theirs = keras.config.floatx(), keras.config.image_data_format()
            keras.config.set_floatx("float32")
            keras.config.set_image_data_format("channels_last")
        _within += 1


def _leave():
    global _within
    with _lock:
        _within -= 1
        if not _within:
            floatx, image_data_format = _theirs
            keras.config.set_floatx(floatx)
            keras.config.set_image_data_format(image_data_format)
