"""Fingerprints of values: equal for equal content, in any process and at any address.

Arrays count by their elements, objects by what they hold. Nothing is executed but the
methods by which an object says what to copy of it.
"""

import copyreg
import hashlib
import json
import re
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import Any

import numpy as np

from d2lext.core.training.own import steps

_AT_ONCE = 2**24  # bytes of an array
_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, PurePath)


def _always(owner: Any, name: str, value: Any) -> bool:
    return True


class Fingerprints:
    """Fingerprints of values that may share parts, each of which is read once.

    Objects of the classes `described` count by their repr, since training changes them,
    and those `ignored` not at all. An attribute of an object counts if `counts(object,
    name, value)` says so. Without `arrays`, those of several numbers count by their shape.
    Iterators and sources of random numbers count by their class.

    Kept as they are found: the `objects` with attributes, the `sources` of random numbers,
    and the `definitions` of classes and functions, which count by their name.
    """

    def __init__(
        self,
        described: tuple[type, ...] = (),
        ignored: Iterable = (),
        arrays: bool = True,
        counts: Callable[[Any, str, Any], bool] = _always,
    ):
        self.described, self.arrays, self.counts = described, arrays, counts
        self.objects: list[Any] = []
        self.sources: list[Any] = []
        self.definitions: set[Any] = set()
        # With each object, so that no other one takes its address.
        self._known: dict[int, tuple[Any, bytes]] = {id(v): (v, b"") for v in ignored}

    def __call__(self, value: Any) -> str:
        """The fingerprint of `value`, in hexadecimal."""
        return self._digest(value).hex()

    def _digest(self, value: Any) -> bytes:
        if is_plain(value):
            value = value.item() if isinstance(value, np.generic) else value
            return _hash([repr(value).encode()])
        if id(value) not in self._known:
            self._known[id(value)] = value, b"itself"  # where it holds itself
            self._known[id(value)] = value, _hash(self._parts(value))
        return self._known[id(value)][1]

    def _parts(self, value: Any) -> Iterator[Any]:
        """What tells `value` from others, as bytes."""
        array = _array(value)
        if array is not None:
            yield from self._array_parts(array)
        elif isinstance(value, self.described):
            yield text(value).encode()
        elif isinstance(value, types.ModuleType):
            yield value.__name__.encode()
        elif isinstance(value, type):
            yield self._definition(value)
        elif isinstance(value, types.MethodType):
            yield from map(self._digest, (value.__func__, value.__self__))
        elif isinstance(value, types.FunctionType):
            yield self._definition(value)
            yield from map(self._digest, _function_parts(value))
        elif isinstance(value, list | tuple | dict):
            yield from self._container_parts(value)
        elif isinstance(value, set | frozenset):
            yield from sorted(map(self._digest, value))
        elif isinstance(value, Iterator) or is_random(value):
            if is_random(value):
                self.sources.append(value)
            yield type(value).__qualname__.encode()
        else:
            yield from self._object_parts(value)

    def _definition(self, value: Any) -> bytes:
        self.definitions.add(value)
        return value.__name__.encode()

    def _array_parts(self, array: np.ndarray) -> Iterator[Any]:
        yield repr((str(array.dtype), array.shape)).encode()
        if not self.arrays and array.ndim:  # a single number may be a learning rate
            return
        if array.dtype.hasobject:
            yield self._digest(array.tolist())
            return
        array = array.reshape(1) if array.ndim == 0 else array
        step = max(1, _AT_ONCE // max(1, array[:1].nbytes))
        for i in range(0, len(array), step):
            part = np.ascontiguousarray(array[i : i + step])
            yield part.reshape(-1).view(np.uint8).data

    def _container_parts(self, value: Any) -> Iterator[bytes]:
        yield b"dict" if isinstance(value, dict) else b"list"
        try:  # a list of a million labels, at once
            yield json.dumps(value, default=self._for_json).encode()
        except (TypeError, ValueError):  # keys that JSON has not; a list in itself
            pairs = value.items() if isinstance(value, dict) else value
            yield from map(self._digest, pairs)

    def _for_json(self, value: Any) -> str:
        return str(value) if isinstance(value, PurePath) else self(value)

    def _object_parts(self, value: Any) -> Iterator[bytes]:
        yield self._definition(type(value))
        try:
            copied = _reduced(value)
        # A lock, a file, a handle of some library: there is nothing to compare.
        except Exception:
            copied = (None, (), getattr(value, "__dict__", None))
        if isinstance(copied, str):  # its name
            yield copied.encode()
            return
        function, args, state, items, pairs = (*copied, None, None, None)[:5]
        yield self._digest(function)
        yield self._digest(args)
        for part in state if isinstance(state, tuple) else (state,):  # or with slots
            if isinstance(part, dict):
                self.objects.append(value)
                part = {k: v for k, v in part.items() if self.counts(value, k, v)}
            yield self._digest(part)
        yield from map(self._digest, (list(items or ()), list(pairs or ())))


def is_plain(value: Any) -> bool:
    """Whether `value` is a mere number, name, path or flag."""
    return isinstance(value, _PLAIN)


def attributes(name: str, value: Any) -> dict[str, Any]:
    """The class of an object as `name`, and what it holds as `name`.lr, ..."""
    inside = getattr(value, "__dict__", {})
    found = {f"{name}.{key}": part for key, part in inside.items()}
    return {name: type(value).__name__, **found}


def is_random(value: Any) -> bool:
    """Whether `value` is a source of random numbers."""
    kind = type(value)
    of_numpy = f"{kind.__module__}.".startswith(("numpy.random.", "random."))
    return of_numpy or kind.__name__ == "Generator"


def text(value: Any) -> str:
    """The repr of `value` on one line, without what differs in another process."""
    one_line = re.sub(r"<class '(?:[^']*\.)?([^'.]+)'>", r"\1", repr(value))
    # An object's address says nothing about it, nor does the number of a Keras layer.
    one_line = re.sub(r" at 0x[0-9a-fA-F]+|(?<=name=)\w+", "", one_line)
    return " ".join(one_line.split())


def _hash(parts: Iterable[Any]) -> bytes:
    digest = hashlib.sha256()  # in hardware, 1.5 GB a second
    for part in parts:
        # so that two parts are not one longer part
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()[:16]


def _array(value: Any) -> np.ndarray | None:
    """A NumPy array, or that of any framework's tensor; None of anything else."""
    kind = type(value)
    try:
        if hasattr(kind, "asnumpy"):  # MXNet
            return value.asnumpy()
        if not all(hasattr(kind, name) for name in ("__array__", "dtype", "shape")):
            return None
        if hasattr(kind, "detach"):  # PyTorch, whose bfloat16 NumPy does not know
            value = value.detach().cpu()
            value = value.float() if "bfloat16" in str(value.dtype) else value
        return np.asarray(value)
    # Of some tensors, sparse or symbolic ones, there is no array.
    except Exception:
        return None


def _reduced(value: Any) -> Any:
    """What makes a copy of `value`, asked for as `copy` does."""
    of_class = copyreg.dispatch_table.get(type(value))  # of NumPy's functions, patterns
    return of_class(value) if of_class else value.__reduce_ex__(4)


def _function_parts(function: types.FunctionType) -> Iterator[Any]:
    """What a function is bound to; the code of one without a name."""
    yield from (function.__defaults__, function.__kwdefaults__)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is empty
            yield None
    if "<" in function.__qualname__:  # <lambda>, <locals>
        yield list(steps(function.__code__))
