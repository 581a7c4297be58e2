"""Devices of PyTorch: the CPU, and the GPUs of the one kind that its build is for."""

import torch

from d2lext.core.machine import devices

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


def why_no_gpu():
    """A sentence on why there is no GPU, and what to do; empty if none is seen."""
    return devices.why_no_gpu("PyTorch", torch.version.cuda is not None)


_devices = devices.Devices(cpu, gpu, num_gpus)
try_gpu = _devices.try_gpu
try_all_gpus = _devices.try_all_gpus
