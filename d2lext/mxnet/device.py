"""Devices of MXNet."""

from mxnet import npx


def cpu():
    """The CPU."""
    return npx.cpu()


def gpu(i=0):
    """The `i`-th GPU, whether or not it exists."""
    return npx.gpu(i)


def num_gpus():
    """How many GPUs there are."""
    return npx.num_gpus()


def try_gpu(i=0):
    """The `i`-th GPU when there is one, else the CPU."""
    return gpu(i) if i < num_gpus() else cpu()


def try_all_gpus():
    """All GPUs, or [the CPU] when there is none."""
    return [gpu(i) for i in range(num_gpus())] or [cpu()]
