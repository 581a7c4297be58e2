"""Devices of MXNet."""

from mxnet import npx, runtime

from d2lext.core.machine import devices

__all__ = ["cpu", "gpu", "num_gpus", "try_gpu", "try_all_gpus"]


def cpu():
    """The CPU."""
    return npx.cpu()


def gpu(i=0):
    """The `i`-th GPU, whether or not it exists."""
    return npx.gpu(i)


def num_gpus():
    """The number of GPUs."""
    return npx.num_gpus()


def why_no_gpu():
    """A sentence on why there is no GPU, and what to do; empty if none is seen."""
    return devices.why_no_gpu("MXNet", runtime.Features().is_enabled("CUDA"))


_devices = devices.Devices(cpu, gpu, num_gpus)
try_gpu = _devices.try_gpu
try_all_gpus = _devices.try_all_gpus
