"""Memory for time: what a block computes is recomputed for the backward pass, not kept."""

from flax import linen as nn

__all__ = ["recompute"]


def recompute(block, *inputs):
    """`block(*inputs)`, of which only the inputs are kept for the backward pass.

    There the block, a Flax module within another, runs again (Pleiss et al., 2017), with
    the same random numbers; the statistics of its normalizations are updated once. On the
    CPU it saves memory only with the option of XLA that `loading` sets. Where many blocks
    read the same arrays, pass these through `jax.lax.optimization_barrier` before each
    block, as in `DenseBlockBC`: otherwise XLA postpones the sums of their gradients to
    the end, and keeps every term.
    """
    return nn.remat(_call)(block, *inputs)


def _call(block, *inputs):
    return block(*inputs)
