"""Sources of random numbers: which a checkpoint keeps, and who draws from common ones."""

import contextlib
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from d2lext.core import turns

State = Any  # of JSON's types


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Within, no other thread of the process trains: common random numbers are ours.

    Waits for one that does, and says so. Afterwards Python's and NumPy's go on as before.
    """
    if turns.is_taken(random):
        print("Waiting for the training in another thread to end.", flush=True)
    with turns.turn(random):
        python, of_numpy = random.getstate(), np.random.get_state()
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(of_numpy)


def everyones() -> list[Any]:
    """The sources of Python's `random` and of NumPy's older functions."""
    return [random, np.random]


def states(sources: Iterable[Any]) -> list[State]:
    """The state of each of the sources; None where it cannot be taken."""
    return [_methods(source)[0]() for source in sources]


def set_states(sources: Iterable[Any], saved: Iterable[State]) -> None:
    """Let the sources go on from what `states` returned."""
    for source, state in zip(sources, saved, strict=False):
        if state is not None:
            _methods(source)[1](state)


def _methods(source: Any) -> tuple[Callable[[], State], Callable[[State], None]]:
    """Functions that take and set the state of a source."""
    if hasattr(source, "getstate"):  # Python's
        return source.getstate, lambda state: source.setstate(_tuples(state))
    if source is np.random or isinstance(source, np.random.RandomState):
        return lambda: _lists(source.get_state(legacy=False)), source.set_state
    bits = getattr(source, "bit_generator", source)
    if isinstance(bits, np.random.BitGenerator):
        return lambda: _lists(bits.state), lambda state: setattr(bits, "state", state)
    if hasattr(source, "get_state"):  # PyTorch's, bytes in a tensor
        return lambda: source.get_state().tolist(), lambda s: _set_bytes(source, s)
    if hasattr(getattr(source, "state", None), "assign"):  # TensorFlow's, a variable
        return lambda: source.state.numpy().tolist(), source.state.assign
    return lambda: None, lambda state: None


def _set_bytes(source: Any, saved: list[int]) -> None:
    state = source.get_state()
    state.numpy()[:] = saved  # the tensor's own memory
    source.set_state(state)


def _lists(state: Any) -> Any:
    """Arrays in dicts as lists."""
    if isinstance(state, dict):
        return {key: _lists(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def _tuples(state: Any) -> Any:
    return tuple(map(_tuples, state)) if isinstance(state, list) else state
