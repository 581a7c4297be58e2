"""Trades time for memory: recomputes a block in the backward pass instead of storing it."""

import contextlib

import torch
from torch.utils.checkpoint import checkpoint

__all__ = ["recompute"]


def recompute(block, *inputs):
    """`block(*inputs)`, keeping only the inputs for the backward pass.

    There the block runs again (Pleiss et al., 2017), with the same random numbers; its
    normalization statistics are updated once.
    """
    output = checkpoint(
        block,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (contextlib.nullcontext(), _unchanged(block)),
    )
    # A copy: the first output is between temporary tensors in memory, and would keep
    # malloc from merging what they free.
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
