"""Compiles our functions as the device that they run on needs it.

On the CPU, XLA notices that a recomputation repeats the forward pass, and keeps the first
results instead. JAX puts a barrier between the two, which one of XLA's passes removes too
early; without that pass, `recompute` saves memory. The barriers in `convolution` and
`pooling` then also last until XLA has chosen its fusions. A GPU's compiler needs the pass.
"""

import functools
import os
import re

import jax
from jax import numpy as jnp
from jax.experimental.compilation_cache import compilation_cache

from d2lext.core.data.download import cache_folder
from d2lext.jax.accelerators import in_fp32

_PASS, _DISABLED = "cse_barrier_expander", "xla_disable_hlo_passes"


def compiled(function, device, deterministic=False, **options):
    """`jax.jit` of a function of arrays on `device`, with jit's other `options`.

    With `deterministic`, a GPU gives equal bits in equal runs, at the price of time.
    """

    @functools.wraps(function)
    def exact(*args, **kwargs):
        with in_fp32(device):
            return function(*args, **kwargs)

    if device.platform == "gpu":
        _keep_programs()
    return jax.jit(exact, compiler_options=_options(device, deterministic), **options)


def compiled_anywhere(function):
    """`jax.jit` of a function, for the device on which the first of its arrays is."""
    on = functools.cache(functools.partial(compiled, function))

    @functools.wraps(function)
    def run(*args):
        device = _device(args)
        # Otherwise arrays that no one has put anywhere would move to JAX's default device.
        with jax.default_device(device):
            return on(device)(*args)

    return run


def _options(device, deterministic):
    """The compiler's options for a device."""
    if device.platform == "cpu":
        flags = os.environ.get("XLA_FLAGS", "")
        others = re.findall(rf"--{_DISABLED}=(\S+)", flags)  # XLA reads the last
        return {_DISABLED: ",".join([*others[-1:], _PASS])}
    if device.platform == "gpu" and deterministic:
        return {"xla_gpu_deterministic_ops": True}
    return None


def _device(arrays):
    """The device of the first array in a tree; JAX's default device for NumPy's."""
    leaves = jax.tree.leaves(arrays)
    array = next((leaf for leaf in leaves if isinstance(leaf, jax.Array)), None)
    return next(iter((jnp.zeros(()) if array is None else array).devices()))


@functools.cache
def _keep_programs():
    """Let later processes have this one's programs, unless the user has said where.

    A GPU's compiler takes a minute, in which it also measures which algorithms are fastest.
    Programs that others could have written stay unread.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    folder = cache_folder() / "programs"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:  # such as a file system that is read-only
        return
    if status.st_uid == os.getuid() and not status.st_mode & 0o022:
        compilation_cache.set_cache_dir(str(folder))
        compilation_cache.reset_cache()  # JAX decides once whether it has one
