"""Devices of MXNet."""

from mxnet import npx

from d2lext.core.machine.devices import Devices

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


_devices = Devices(cpu, gpu, num_gpus)
try_gpu = _devices.try_gpu
try_all_gpus = _devices.try_all_gpus
