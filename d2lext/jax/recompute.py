"""Memory for time: what a block computes inside is not kept for the backward pass."""

from flax import linen as nn


def recompute(block, *inputs):
    """`block(*inputs)`, of which the inputs alone are kept for the backward pass.

    There the block, a module of Flax within another, runs once more (Pleiss et al.,
    2017), with the random numbers of the first time; the statistics of its
    normalizations are updated once. On the CPU it saves memory with an option of XLA's
    alone, which `loading` sets. Where many blocks read the same arrays, these pass
    through `jax.lax.optimization_barrier` before each block, as in `DenseBlockBC`: XLA
    would put off the sums of their gradients to the end, and keep every term.
    """
    return nn.remat(_call)(block, *inputs)


def _call(block, *inputs):
    return block(*inputs)
