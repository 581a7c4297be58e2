"""CUDA graphs on the CPU: captured operations are not executed, and replayed in place.

As on a GPU, a replay computes on the memory of the capture and runs no Python; what waits
for a number of the device warns if asked to, and breaks a capture.
"""

import contextlib
import warnings

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

WAITS = torch.ops.aten._local_scalar_dense.default


class Stream:
    """A stream that has nothing to wait for."""

    def __init__(self, device=None):
        pass

    def wait_stream(self, other):
        """Do nothing: the CPU computes in order."""


class CUDAGraph:
    """The operations of a capture, each with its inputs and outputs."""

    def __init__(self):
        self.operations = []

    def replay(self):
        """Compute all of them again, into the same memory."""
        with torch.no_grad():
            for function, args, kwargs, outputs in self.operations:
                new = tree_leaves(function(*args, **kwargs))
                for output, result in zip(outputs, new, strict=True):
                    if output is not None:
                        output.copy_(result)


def is_capturing():
    """Whether operations are captured at the moment."""
    return _Recording.depth > 0


class _Watching(TorchDispatchMode):
    """Warns of what would wait for a GPU."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is WAITS and sync_mode == 1:
            warnings.warn("called a synchronizing CUDA operation", stacklevel=2)
        return function(*args, **(kwargs or {}))


class _Recording(TorchDispatchMode):
    """Records operations, and undoes what they do to memory from before."""

    depth = 0

    def __init__(self, operations):
        super().__init__()
        self.operations, self.made, self.before = operations, set(), {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is WAITS:
            raise RuntimeError("operation not permitted when stream is capturing")
        inputs = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        places = {_place(tensor) for tensor in inputs}
        for tensor in inputs:
            if _place(tensor) not in self.made | self.before.keys():
                self.before[_place(tensor)] = tensor.detach(), tensor.detach().clone()
        result = function(*args, **kwargs)
        outputs = [
            # A view, or an input changed in place, has its value already.
            None
            if not isinstance(t, torch.Tensor) or _place(t) in places
            else t.detach()
            for t in tree_leaves(result)
        ]
        self.made |= {_place(t) for t in outputs if t is not None}
        args, kwargs = tree_map_only(torch.Tensor, torch.Tensor.detach, (args, kwargs))
        self.operations.append((function, args, kwargs, outputs))
        return result

    def undo(self):
        """Put back what was there before the capture."""
        for tensor, value in self.before.values():
            tensor.copy_(value)


@contextlib.contextmanager
def graph(cuda_graph, stream=None, capture_error_mode="global"):
    """Capture the operations of the block."""
    state, recording = torch.get_rng_state(), _Recording(cuda_graph.operations)
    _Recording.depth += 1
    try:
        with recording:
            yield
    finally:
        _Recording.depth -= 1
        recording.undo()
        torch.set_rng_state(state)


@contextlib.contextmanager
def stream(stream):
    """A block whose operations are in a stream: those of eager steps before a capture."""
    with _Watching():
        yield


sync_mode = 0


def set_sync_debug_mode(mode):
    """Let what waits for a GPU warn or not."""
    global sync_mode
    sync_mode = {"default": 0, "warn": 1}.get(mode, mode)


def feign(monkeypatch, graphs):
    """Let the module `graphs` capture on the CPU."""
    monkeypatch.setattr(graphs, "_has_graphs", lambda device: True)
    names = ("Stream", "CUDAGraph", "graph", "stream", "set_sync_debug_mode")
    for name in names:
        monkeypatch.setattr(torch.cuda, name, globals()[name])
    # Those of the CPU are the device's.
    monkeypatch.setattr(graphs, "_drawn_on_cpu", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: sync_mode)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)


def _place(tensor):
    return tensor.untyped_storage().data_ptr()
