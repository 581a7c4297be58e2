"""Imports JAX, Flax and Optax, or says how to install them.

On the CPU, XLA notices that a recomputation repeats the forward pass, and keeps the first
results instead. JAX puts a barrier between the two, which one of XLA's passes removes too
early; without that pass, `recompute` saves memory. The barriers in `convolution` and
`pooling` then also last until XLA has chosen its fusions.
"""

import os

from d2lext.core.frameworks import needed_by

_OPTION, _PASS = "--xla_disable_hlo_passes=", "cse_barrier_expander"


def _without_pass(flags):
    """XLA's `flags`, with one more pass disabled."""
    flags = flags.split()
    passes = [f.removeprefix(_OPTION) for f in flags if f.startswith(_OPTION)]
    if any(_PASS in disabled.split(",") for disabled in passes):
        return " ".join(flags)
    others = [flag for flag in flags if not flag.startswith(_OPTION)]
    # If the option is repeated, XLA reads only the last.
    return " ".join([*others, _OPTION + ",".join([*passes[-1:], _PASS])])


# XLA reads its flags once, when the first array is created.
os.environ["XLA_FLAGS"] = _without_pass(os.environ.get("XLA_FLAGS", ""))

with needed_by("jax"):
    import flax  # noqa: F401  these three for their errors
    import jax
    import optax  # noqa: F401  as flax

# On the CPU, run each call in the caller's thread. In XLA's threads, glibc would use
# fresh memory for every large array, whose pages the system must clear first.
jax.config.update("jax_cpu_enable_async_dispatch", False)
