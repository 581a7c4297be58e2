"""Devices of TensorFlow, for use as `with device:`."""

import ctypes

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
    remedy = ""
    if missing := _missing_libraries():
        remedy = (
            f"install what it lacks, {', '.join(missing)}: pip install "
            f"'tensorflow[and-cuda]=={tf.__version__}'"
        )
    has_cuda = tf.test.is_built_with_cuda()
    return devices.why_no_gpu("TensorFlow", has_cuda, remedy=remedy)


def _missing_libraries():
    """Those of CUDA's libraries that TensorFlow's build needs and has not found."""
    build = tf.sysconfig.get_build_info()
    cuda, cudnn = (
        build.get(f"{n}_version", "").split(".")[0] for n in ("cuda", "cudnn")
    )
    missing = []
    for name, version in ("cudart", cuda), ("cublas", cuda), ("cudnn", cudnn):
        library = f"lib{name}.so.{version}"
        try:
            ctypes.CDLL(library)  # loaded by now if it is among Python's packages
        except OSError:
            missing.append(library)
    return missing if cuda else []


_devices = devices.Devices(cpu, gpu, num_gpus)
try_gpu = _devices.try_gpu
try_all_gpus = _devices.try_all_gpus


def entered():
    """The device of the surrounding `with device:`, or None outside of one."""
    name = context.context().device_name  # TensorFlow has no public way to ask
    return tf.device(name) if name else None
