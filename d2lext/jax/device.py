"""Devices of JAX."""

import importlib.util
import pkgutil

import jax

from d2lext.core.machine import devices
from d2lext.jax import accelerators

__all__ = ["cpu", "gpu", "num_gpus", "try_gpu", "try_all_gpus"]


def cpu():
    """The CPU."""
    return jax.devices("cpu")[0]


def gpu(i=0):
    """The `i`-th GPU; IndexError if it does not exist.

    Another device that JAX uses unless told otherwise, such as a TPU, is one too.
    """
    return accelerators.found()[i]


def num_gpus():
    """The number of GPUs."""
    return len(accelerators.found())


def why_no_gpu():
    """A sentence on why there is no GPU, and what to do; empty if none is seen."""
    plugins = importlib.util.find_spec("jax_plugins")
    places = plugins.submodule_search_locations if plugins else []
    has_cuda = any("cuda" in module.name for module in pkgutil.iter_modules(places))
    why = devices.why_no_gpu("JAX", has_cuda)
    if not (why and has_cuda):
        return why
    if jax.config.jax_platforms:
        return f"JAX_PLATFORMS={jax.config.jax_platforms} leaves out the GPU: unset it"
    try:
        jax.devices("cuda")
    except RuntimeError as error:
        return f"{why} ({error})"
    return why


_devices = devices.Devices(cpu, gpu, num_gpus)
try_gpu = _devices.try_gpu
try_all_gpus = _devices.try_all_gpus
