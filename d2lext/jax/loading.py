"""Imports JAX, Flax and Optax, or says how to install them."""

import os

from d2lext.core.frameworks import needed_by

# Otherwise JAX takes three quarters of a GPU's memory at once, and leaves too little to
# other frameworks and processes. It reads this when it first uses the GPU.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

with needed_by("jax"):
    import flax  # noqa: F401  these three for their errors
    import jax
    import optax  # noqa: F401  as flax

# On the CPU, run each call in the caller's thread. In XLA's threads, glibc would use
# fresh memory for every large array, whose pages the system must clear first.
jax.config.update("jax_cpu_enable_async_dispatch", False)
