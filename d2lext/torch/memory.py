"""Trades time for memory: recomputes a block in the backward pass instead of storing it."""

import contextlib

import torch
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint

__all__ = ["recompute"]


def recompute(block, *inputs):
    """`block(*inputs)`, keeping only the inputs for the backward pass.

    There the block runs again (Pleiss et al., 2017), with the same random numbers; its
    normalization statistics are updated once. Where PyTorch traces the function
    (`torch.compile`, `torch.export`) or transforms it (`torch.func`), there is no backward
    pass to do so, and it is an ordinary call.
    """
    if not torch.is_grad_enabled() or _is_traced():
        return block(*inputs)
    output = checkpoint(_Repeated(block), *inputs, use_reentrant=False)
    # A copy: the first output is between temporary tensors in memory, and would keep
    # malloc from merging what they free.
    return output.clone()


def _is_traced():
    transformed = torch._C._are_functorch_transforms_active()  # no public name
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or transformed


class _Repeated:
    """A block that runs again as it ran first, and leaves no trace of that."""

    state = None

    def __init__(self, block):
        self.block, self.modules = block, list(block.modules())
        self.buffers = {m: _clones(m._buffers) for m in self.modules if _reads(m)}

    def __call__(self, *inputs):
        if self.state is not None:
            self._check_versions()
            with _in_state(self.state):
                return self.block(*inputs)
        output = self.block(*inputs)
        # Only now: a lazy layer had none before. They may be a `functional_call`'s.
        self.state = [
            (m, m.training, dict(m._parameters), self.buffers.get(m, dict(m._buffers)))
            for m in self.modules
        ]
        self.versions = self._versions()
        return output

    def _versions(self):
        params = (p for _, _, params, _ in self.state for p in params.values())
        return [p._version for p in params if p is not None]

    def _check_versions(self):
        if self._versions() != self.versions:
            raise RuntimeError(
                "the weights of a network with memory_efficient must stay between its "
                "forward and its backward pass, got others: call backward() before "
                "optimizer.step(), or create the network without memory_efficient"
            )


def _reads(module):
    """Whether a module reads buffers that its forward pass changes."""
    # Normalization reads its statistics in evaluation alone, when they stay.
    return module._buffers and not isinstance(module, _NormBase)


def _clones(buffers):
    return {name: b if b is None else b.clone() for name, b in buffers.items()}


@contextlib.contextmanager
def _in_state(state):
    """Modules in their mode and with their weights of before, and copies of buffers.

    `functional_call` would do the same for weights and buffers, in ten times the time.
    """
    now = []
    for module, training, params, buffers in state:
        own = vars(module)
        now.append((own, own["training"], own["_parameters"], own["_buffers"]))
        own.update(training=training, _parameters=params, _buffers=_clones(buffers))
    try:
        yield
    finally:
        for own, training, params, buffers in now:
            own.update(training=training, _parameters=params, _buffers=buffers)
