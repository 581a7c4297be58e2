"""Global settings of Keras and TensorFlow, and ours, which hold while a model is used.

Keras' layers copy its settings on construction: the precision in which they compute, the
default type of numbers, and whether channels are first or last. TensorFlow's says whether
GPUs round the factors of float32 products.
"""

import contextlib
import threading

import keras
import tensorflow as tf


class _Global:
    """A setting of the process: it is `ours` within, until the last thread has left."""

    def __init__(self, get, set, ours):
        self.get, self.set, self.ours = get, set, ours
        self.lock, self.within, self.theirs = threading.Lock(), 0, None

    def __enter__(self):
        with self.lock:
            if not self.within:
                self.theirs = self.get()
                self.set(self.ours)
            self.within += 1

    def __exit__(self, *error):
        with self.lock:
            self.within -= 1
            if not self.within:
                self.set(self.theirs)


_floatx = _Global(keras.config.floatx, keras.config.set_floatx, "float32")
_format = _Global(
    keras.config.image_data_format, keras.config.set_image_data_format, "channels_last"
)
# By default GPUs multiply float32 as TensorFloat-32, with 10 binary digits of 23.
full_float32 = _Global(
    tf.config.experimental.tensor_float_32_execution_enabled,
    tf.config.experimental.enable_tensor_float_32_execution,
    False,
)


@contextlib.contextmanager
def ours():
    """Within, Keras makes layers for float32 and for images (n, h, w, c)."""
    policy = keras.config.dtype_policy()  # each thread has its own
    keras.config.set_dtype_policy("float32")
    try:
        with _floatx, _format:
            yield
    finally:
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
