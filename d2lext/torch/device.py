"""Devices of PyTorch: the CPU, and GPUs of the kind that its build is for."""

import torch

from d2lext.core.machine import devices
from d2lext.torch import accelerators

__all__ = ["cpu", "gpu", "num_gpus", "try_gpu", "try_all_gpus"]


def cpu():
    """The CPU."""
    return torch.device("cpu")


def gpu(i=0):
    """The `i`-th GPU, whether or not it exists: NVIDIA's, AMD's, Apple's, Intel's."""
    return torch.device(accelerators.kind(), i)


def num_gpus():
    """The number of GPUs that PyTorch has code for."""
    return accelerators.count()


def why_no_gpu():
    """A sentence on why there is no GPU, and what to do; empty if none is seen."""
    has_cuda = torch.version.cuda is not None
    return devices.why_no_gpu("PyTorch", has_cuda, accelerators.problem())


_devices = devices.Devices(cpu, gpu, num_gpus)
try_gpu = _devices.try_gpu
try_all_gpus = _devices.try_all_gpus
