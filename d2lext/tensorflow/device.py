"""Devices of TensorFlow, for use as `with device:`."""

import tensorflow as tf
from tensorflow.python.eager import context

from d2lext.core.machine import devices

__all__ = ["cpu", "gpu", "num_gpus", "try_gpu", "try_all_gpus"]


def cpu():
    """The CPU."""
    return tf.device("/CPU:0")


def gpu(i=0):
    """The `i`-th GPU, whether or not it exists."""
    return tf.device(f"/GPU:{i}")


def num_gpus():
    """The number of GPUs."""
    return len(tf.config.get_visible_devices("GPU"))


def why_no_gpu():
    """A sentence on why there is no GPU, and what to do; empty if none is seen."""
    return devices.why_no_gpu("TensorFlow", tf.test.is_built_with_gpu_support())


_devices = devices.Devices(cpu, gpu, num_gpus)
try_gpu = _devices.try_gpu
try_all_gpus = _devices.try_all_gpus


def entered():
    """The device of the surrounding `with device:`, or None outside of one."""
    name = context.context().device_name  # TensorFlow has no public way to ask
    return tf.device(name) if name else None
