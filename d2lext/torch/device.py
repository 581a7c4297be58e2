"""Devices of PyTorch."""

import torch

from d2lext.core.machine.devices import Devices

__all__ = ["cpu", "gpu", "num_gpus", "try_gpu", "try_all_gpus"]


def cpu():
    """The CPU."""
    return torch.device("cpu")


def gpu(i=0):
    """The `i`-th GPU, whether or not it exists."""
    return torch.device("cuda", i)


def num_gpus():
    """The number of GPUs."""
    return torch.cuda.device_count()


_devices = Devices(cpu, gpu, num_gpus)
try_gpu = _devices.try_gpu
try_all_gpus = _devices.try_all_gpus
