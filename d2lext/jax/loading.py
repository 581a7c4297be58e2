"""Imports JAX, Flax and Optax, or says how to install them."""

from d2lext.core.frameworks import needed_by

with needed_by("jax"):
    import flax  # noqa: F401  these three for their errors
    import jax  # noqa: F401
    import optax  # noqa: F401
