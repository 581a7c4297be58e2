"""Trades time for memory: recomputes a block in the backward pass instead of storing it."""

from flax import linen as nn

__all__ = ["recompute"]


def recompute(block, *inputs):
    """`block(*inputs)`, keeping only the inputs for the backward pass.

    There the block, a Flax module within another, runs again (Pleiss et al., 2017), with
    the same random numbers; its normalization statistics are updated once. If many blocks
    read the same arrays, pass these through `jax.lax.optimization_barrier` before each
    block, as in `DenseBlockBC`: otherwise XLA postpones summing their gradients to the end,
    and keeps every term.

    On a CPU, XLA would remove what keeps the two runs apart. A trainer, `examine` and
    `predict` tell it not to; so must a step of your own, which else saves no memory there:
    `jax.jit(step, compiler_options={"xla_disable_hlo_passes": "cse_barrier_expander"})`.
    For a GPU do not set the option: its compiler needs the pass.
    """
    return nn.remat(_call)(block, *inputs)


def _call(block, *inputs):
    return block(*inputs)
