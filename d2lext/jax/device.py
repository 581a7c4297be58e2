"""Devices of JAX."""

import importlib.util

import jax

from d2lext.core.machine import devices

__all__ = ["cpu", "gpu", "num_gpus", "try_gpu", "try_all_gpus"]


def cpu():
    """The CPU."""
    return jax.devices("cpu")[0]


def gpu(i=0):
    """The `i`-th GPU; RuntimeError or IndexError if it does not exist."""
    return jax.devices("gpu")[i]


def num_gpus():
    """The number of GPUs."""
    return sum(device.platform == "gpu" for device in jax.devices())


def why_no_gpu():
    """A sentence on why there is no GPU, and what to do; empty if none is seen."""
    return devices.why_no_gpu("JAX", bool(importlib.util.find_spec("jax_plugins")))


_devices = devices.Devices(cpu, gpu, num_gpus)
try_gpu = _devices.try_gpu
try_all_gpus = _devices.try_all_gpus
