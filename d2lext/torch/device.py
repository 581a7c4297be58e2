"""Devices of PyTorch."""

import torch


def cpu():
    """The CPU."""
    return torch.device("cpu")


def gpu(i=0):
    """The `i`-th GPU, whether or not it exists."""
    return torch.device("cuda", i)


def num_gpus():
    """How many GPUs there are."""
    return torch.cuda.device_count()


def try_gpu(i=0):
    """The `i`-th GPU when there is one, else the CPU."""
    return gpu(i) if i < num_gpus() else cpu()


def try_all_gpus():
    """All GPUs, or [the CPU] when there is none."""
    return [gpu(i) for i in range(num_gpus())] or [cpu()]
