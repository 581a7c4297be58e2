"""Devices of MXNet, whose builds for GPUs are as old as their CUDA."""

import contextlib
import ctypes
import itertools

from mxnet import npx, runtime
from mxnet.base import MXNetError

from d2lext.core.machine import devices

__all__ = ["cpu", "gpu", "num_gpus", "try_gpu", "try_all_gpus"]


def cpu():
    """The CPU."""
    return npx.cpu()


def gpu(i=0):
    """The `i`-th GPU, whether or not it exists."""
    return npx.gpu(i)


def num_gpus():
    """The number of GPUs that MXNet can use, up to the first that it cannot."""
    with contextlib.suppress(MXNetError):  # of a driver that is too old for its CUDA
        if number := npx.num_gpus():
            served = itertools.takewhile(_is_served, _capabilities())
            return min(number, len(list(served)))
    return 0


def why_no_gpu():
    """A sentence on why there is no GPU, and what to do; empty if none is seen."""
    problem = ""
    for first in _capabilities()[:1]:
        if not _is_served(first):
            problem = (
                f"MXNet's builds are for GPUs of compute capability {_text(_OLDEST)} to "
                f"{_text(_NEWEST)}, and this one has {_text(first)}: train on it in "
                "PyTorch, JAX or TensorFlow"
            )
    return devices.why_no_gpu("MXNet", runtime.Features().is_enabled("CUDA"), problem)


# The GPUs for which the builds have machine code; they have none that newer ones translate.
_OLDEST, _NEWEST = (5, 0), (8, 6)
_MAJOR, _MINOR = 75, 76  # the numbers of a capability among the attributes of a GPU


def _is_served(capability):
    return _OLDEST <= capability <= _NEWEST


def _text(capability):
    return ".".join(map(str, capability))


def _capabilities():
    """(major, minor) of each GPU that NVIDIA's driver shows to this process."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:  # there is none
        return []
    number, value = ctypes.c_int(), ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(number)):
        return []
    found = []
    for i in range(number.value):
        capability = []
        for attribute in (_MAJOR, _MINOR):
            driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, i)
            capability.append(value.value)
        found.append(tuple(capability))
    return found


_devices = devices.Devices(cpu, gpu, num_gpus)
try_gpu = _devices.try_gpu
try_all_gpus = _devices.try_all_gpus
