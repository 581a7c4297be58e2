"""Trades time for memory: recomputes a block in the backward pass instead of storing it."""

import os

from mxnet import autograd, np, sym, util
from mxnet.gluon import nn
from mxnet.gluon.utils import shape_is_known
from mxnet.ndarray import CachedOp

from d2lext.mxnet.speed import graphs

__all__ = ["recompute"]

# MXNet has 16 threads for functions like `_Recomputed`. Each would start a team of OpenMP
# threads, which spin while they wait and so compete for the cores.
os.environ.setdefault("MXNET_CUSTOM_OP_NUM_THREADS", "1")


def recompute(block, *inputs):
    """`block(*inputs)`, keeping only the inputs for the backward pass.

    There the block runs again (Pleiss et al., 2017), in the mode of the forward pass and
    with copies of its parameters: it runs in one of MXNet's threads, perhaps after the
    optimiser was told to change them.
    A block with dropout runs as usual: MXNet cannot draw the same random numbers twice.
    """
    params = block.collect_params()
    if not all(shape_is_known(param.shape) for param in params.values()):
        return block(*inputs)  # the first call builds it
    trained = {n: p for n, p in params.items() if p.grad_req != "null"}
    for param in trained.values():
        # That thread also updates the running statistics, and must finish before they
        # are read again.
        param.grad().wait_to_read()
    if not autograd.is_recording() or _drops(block):
        return block(*inputs)
    statistics = {n: p.data() for n, p in params.items() if n not in trained}
    shapes = {f"data{i}": array.shape for i, array in enumerate(inputs)}
    function = _Recomputed(block, list(trained), statistics, shapes)
    # Where a gradient is to be added to an earlier one, MXNet drops that of a function; it
    # adds that of a copy.
    params = [
        np.copy(p.data()) if p.grad_req == "add" else p.data() for p in trained.values()
    ]
    inputs = [np.copy(array) if array.grad is not None else array for array in inputs]
    # The last input first: the first may have no gradient, and MXNet skips whatever
    # follows such an array.
    return function(*params, *reversed(inputs))


class _Recomputed(autograd.Function):
    """A block as a function of its inputs and its parameters.

    The optimiser waits for the gradients that this function returns. It would not wait
    for those of parameters that are not inputs.
    """

    def __init__(self, block, names, statistics, shapes):
        super().__init__()
        self.is_training = autograd.is_training()
        output = block(*(sym.var(name).as_np_ndarray() for name in shapes))
        output = graphs.as_compiled(block, output, **shapes)
        self.op, self.order = CachedOp(output), output.list_inputs()
        self.names, self.statistics = [*names, *reversed(shapes)], statistics
        self.num_params = len(names)

    def forward(self, *arrays):
        copies = [array.copy() for array in arrays[: self.num_params]]
        self.arrays = [*copies, *arrays[self.num_params :]]
        return self._run(self.arrays)

    @util.use_np_array  # the setting is per thread
    def backward(self, grad):
        arrays = [array.detach() for array in self.arrays]
        for array in arrays:
            array.attach_grad()
        train_mode = autograd.is_training()  # that of the backward pass
        with autograd.record(self.is_training):
            Y = self._run(arrays)
        grads = autograd.grad(Y, arrays, grad.as_np_ndarray(), train_mode=train_mode)
        return [g.as_nd_ndarray() for g in grads]

    def _run(self, arrays):
        named = dict(zip(self.names, arrays, strict=True)) | self.statistics
        return self.op(*(named[name] for name in self.order))


def _drops(block):
    """Whether there is dropout within the block."""
    if isinstance(block, nn.Dropout):
        return block._rate > 0
    return any(_drops(child) for child in block._children.values())
