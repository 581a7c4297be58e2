"""Devices of JAX."""

import jax


def cpu():
    """The CPU."""
    return jax.devices("cpu")[0]


def gpu(i=0):
    """The `i`-th GPU; RuntimeError or IndexError where it does not exist."""
    return jax.devices("gpu")[i]


def num_gpus():
    """How many GPUs there are."""
    return sum(device.platform == "gpu" for device in jax.devices())


def try_gpu(i=0):
    """The `i`-th GPU when there is one, else the CPU."""
    return gpu(i) if i < num_gpus() else cpu()


def try_all_gpus():
    """All GPUs, or [the CPU] when there is none."""
    return [gpu(i) for i in range(num_gpus())] or [cpu()]
