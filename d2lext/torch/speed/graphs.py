"""Steps captured in CUDA graphs: Python launches their programs once, a replay all again.

Python launches some six hundred programs a step one by one, and takes longer for that than
the GPU for all of them. A replay launches them at once, on the same memory. It runs no
Python, so it is the same step only if Python changes nothing in it and reads what it read
before: `Graphs` looks for the first in an eager step, and compares the second each time.
"""

import collections
import contextlib
import operator
import warnings

import torch

from d2lext.core.training import held, randomness
from d2lext.core.training.traced import Traced

_WARM_UP = 3  # eager steps of a kind before it is captured; the last one is watched
_MOST_GRAPHS = 4  # each keeps the memory of a step
_MOST_EAGER = 50  # steps, unless more are replayed
_CAPTURE = 25  # such steps that a capture takes the time of
_COMPARED = (bool, int, float, str, type(None), torch.Tensor)
_SYNCHRONIZES = "called a synchronizing CUDA operation"


def may_capture(trainer):
    """Whether steps of a trainer may be captured, by its options, model and device.

    With `deterministic` they are not: resumed, a training begins with eager steps. Where
    a model recomputes, PyTorch saves the state of random numbers, which a graph has not.
    """
    is_free = trainer.compile is None and not trainer.deterministic
    recomputes = getattr(trainer.model, "memory_efficient", False)
    return _has_graphs(trainer.device) and is_free and not recomputes


class Graphs:
    """A function of a trainer's that takes a batch, captured for each kind of batch.

    The function logs to the trainer and sets gradients. Steps of a kind have equal shapes,
    tensors in the same place, and equal numbers in the attributes of layers. What Python
    reads elsewhere, such as global variables, stays as it was. If a function cannot be
    captured, a warning says why, and it is called as usual.
    """

    def __init__(self, trainer, function):
        self.trainer, self.function = trainer, function
        self.stream = torch.cuda.Stream(trainer.device)
        self.graphs = {}  # by kind of step
        self.eager = collections.Counter()  # steps of each kind
        self.replays = 0
        self.is_capturable = True
        modules = [(f"model.{n}", m) for n, m in trainer.model.named_modules()]
        self._traced = Traced(trainer, modules)
        self._epoch = None

    def __call__(self, batch):
        """Compute and log as the function does."""
        if not self.is_capturable:
            self.function(batch)
            return
        kind = self._kind(batch)
        if kind not in self.graphs and self.eager[kind] < _WARM_UP:
            self.eager[kind] += 1
            self._warm_up(batch, is_watched=self.eager[kind] == _WARM_UP)
            return
        if kind not in self.graphs:
            if len(self.graphs) == _MOST_GRAPHS:
                del self.graphs[next(iter(self.graphs))]  # the oldest
            self._capture(kind, batch)
        if kind in self.graphs:
            self.replays += 1
            self.graphs[kind].replay(batch)
        else:
            self.function(batch)

    def _kind(self, batch):
        """A number for what a replay could not follow."""
        if self._epoch != self.trainer.epoch:  # layers may be others
            self._look()
        try:
            values = tuple(get(attributes) for get, attributes in self._attributes)
            values = hash((values, self._traced.values()))
        except (KeyError, TypeError):  # one is gone, or a list by now
            self._look()
            return self._kind(batch)
        places = tuple((t.data_ptr(), t.requires_grad) for t in self._tensors)
        shapes = tuple((array.shape, array.dtype) for array in batch)
        return hash((values, places, shapes))

    def _look(self):
        """Note the attributes and the tensors that the steps of an epoch may read."""
        self._epoch = self.trainer.epoch
        self._tensors = _tensors(self.trainer)
        self._attributes = []
        for module in self.trainer.model.modules():
            attributes = vars(module)
            names = [n for n, v in attributes.items() if isinstance(v, _COMPARED)]
            if names:
                self._attributes.append((operator.itemgetter(*names), attributes))

    def _warm_up(self, batch, is_watched):
        """An eager step, in the stream in which such a step will be captured."""
        current = torch.cuda.current_stream(self.trainer.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            obstacle = self._watched(batch) if is_watched else self.function(batch)
        current.wait_stream(self.stream)
        num_eager = sum(self.eager.values())
        if num_eager > max(_MOST_EAGER, self.replays):
            obstacle = "batches, or values that Python reads, of too many kinds"
        if obstacle:
            self._refuse(obstacle)

    def _watched(self, batch):
        """What in an eager step a replay would leave out, in words; None if nothing."""
        before, mode = _traces(self.trainer), torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                self.function(batch)
            finally:
                torch.cuda.set_sync_debug_mode(mode)
        waits = [w for w in caught if _SYNCHRONIZES in str(w.message)]
        for w in caught:
            if w not in waits:
                warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
        if waits:
            return "one that waits for a number of the GPU, as by item()"
        after = _traces(self.trainer)
        names = before.keys() | after.keys()
        changed = sorted(name for name in names if _differ(before, after, name))
        return f"one that changes {', '.join(changed[:3])}" if changed else None

    def _capture(self, kind, batch):
        """Capture the function for this kind of batch, or refuse it."""
        self.eager[kind] += _CAPTURE
        try:
            self.graphs[kind] = _Graph(self, batch)
        # PyTorch's, CUDA's, or that of a model which finds out that it is captured.
        except Exception as error:
            self.trainer._logged = {}
            _end_failed_capture(self.trainer.device)
            while error.__context__:
                error = error.__context__
            self._refuse(f"{type(error).__name__}: {error}".partition("\n")[0])

    def _refuse(self, obstacle):
        self.is_capturable = False
        self.graphs.clear()
        warnings.warn(
            "a step must leave nothing to Python to be captured in a CUDA graph, got "
            f"{obstacle}: these steps are not captured, and slower; their numbers are the "
            "same",
            stacklevel=5,
        )


class _Graph:
    """A captured function: its batch, and what it leaves behind, in fixed memory."""

    def __init__(self, graphs, batch):
        self.trainer = trainer = graphs.trainer
        self.batch = [array.clone() for array in batch]
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(
            self.graph, stream=graphs.stream, capture_error_mode="thread_local"
        ):
            graphs.function(self.batch)
        self.logged = dict(trainer._logged)
        self.tensors = graphs._tensors  # to keep their memory
        self.grads = []
        if torch.is_grad_enabled():
            self.grads = [(t, t.grad) for t in self.tensors if t.grad is not None]
        # PyTorch's optimisers read gradients only while they step.
        self.is_lent = type(trainer.optim).__module__.partition(".")[0] == "torch"

    def replay(self, batch):
        """Compute it for another batch of its kind."""
        for array, new in zip(self.batch, batch, strict=True):
            array.copy_(new)
        self.graph.replay()
        for tensor, grad in self.grads:
            tensor.grad = grad if self.is_lent else grad.clone()
        logged = {name: value.clone() for name, value in self.logged.items()}
        self.trainer._logged.update(logged)


def _has_graphs(device):
    return device.type == "cuda" and torch.version.cuda is not None  # NVIDIA's alone


def _tensors(trainer):
    """What a step may read or train, each once: parameters, buffers, plain tensors."""
    model, optim = trainer.model, [("optimizer", trainer.optim)]
    of_model = held.held(model.named_modules(), torch.Tensor).values()
    trained = [t for t in held.held(optim, torch.Tensor).values() if t.requires_grad]
    tensors = [*model.parameters(), *model.buffers(), *of_model, *trained]
    return list({id(t): t for t in tensors}.values())


def _traces(trainer):
    """What Python code of a step may change, by name."""
    owners = trainer.owners()
    numbers = held.numbers([("trainer", trainer), *owners])
    sources = [*randomness.everyones(), *held.sources(owners)]
    return {
        **{".".join(map(str, place)): value for place, value in numbers.items()},
        **held.held(owners, torch.Tensor),
        **trainer.model.state_dict(keep_vars=True),
        "random numbers of the CPU": (randomness.states(sources), _drawn_on_cpu()),
    }


def _drawn_on_cpu():
    return torch.get_rng_state().tolist()


def _differ(before, after, name):
    """Whether something is new, another tensor, or another number."""
    if name not in before or name not in after:
        return True
    old, new = before[name], after[name]
    return old is not new and (isinstance(old, torch.Tensor) or old != new)


def _end_failed_capture(device):
    """Let random numbers be drawn again: a failed capture leaves them in its mode."""
    with contextlib.suppress(Exception):
        stream = torch.cuda.Stream(device)
        with torch.cuda.graph(torch.cuda.CUDAGraph(), stream=stream):
            torch.zeros(1, device=device)
