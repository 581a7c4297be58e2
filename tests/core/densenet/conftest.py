"""What tests of networks share: programs of JAX that compile in half the time."""

import pytest
from shared.selected import d2l_or_skip


@pytest.fixture
def compiled_quickly(request):
    """JAX compiles without LLVM's optimisations, where a test is not about rounding."""
    if request.node.callspec.params["backend"] != "jax":
        yield
        return
    d2l_or_skip("jax")  # prepares JAX, and is imported before it
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
