"""Memory for time: what a block computes is recomputed for the backward pass, not kept."""

import contextlib

import torch
from torch.utils.checkpoint import checkpoint

__all__ = ["recompute"]


def recompute(block, *inputs):
    """`block(*inputs)`, of which only the inputs are kept for the backward pass.

    There the block runs again (Pleiss et al., 2017), with the same random numbers; the
    running statistics of its normalizations are updated once.
    """
    output = checkpoint(
        block,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (contextlib.nullcontext(), _unchanged(block)),
    )
    # A copy: the first output lies between temporary tensors, and would keep malloc from
    # merging the memory that they leave.
    return output.clone() if torch.is_grad_enabled() else output


@contextlib.contextmanager
def _unchanged(block):
    """Leave the block's buffers, such as running statistics, as they were before."""
    before = [(buffer, buffer.clone()) for buffer in block.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                buffer.copy_(value)
