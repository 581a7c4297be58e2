"""Devices of TensorFlow, each for use as `with device:`."""

import tensorflow as tf
from tensorflow.python.eager import context


def cpu():
    """The CPU."""
    return tf.device("/CPU:0")


def gpu(i=0):
    """The `i`-th GPU, whether or not it exists."""
    return tf.device(f"/GPU:{i}")


def entered():
    """The device of the surrounding `with device:`, or None outside of any."""
    name = context.context().device_name  # TensorFlow has no public way to ask
    return tf.device(name) if name else None


def num_gpus():
    """How many GPUs there are."""
    return len(tf.config.get_visible_devices("GPU"))


def try_gpu(i=0):
    """The `i`-th GPU when there is one, else the CPU."""
    return gpu(i) if i < num_gpus() else cpu()


def try_all_gpus():
    """All GPUs, or [the CPU] when there is none."""
    return [gpu(i) for i in range(num_gpus())] or [cpu()]
