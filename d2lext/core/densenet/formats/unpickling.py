"""Reads PyTorch's pickles without executing anything.

A pickle is a program. Here it can build dictionaries, lists and numbers, and describe
tensors; whatever class or function it names is a placeholder, which ignores its arguments
and keeps what is put into it.
"""

import io
import pickle
import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from d2lext.core.densenet.formats.tensors import WeightFileError, damaged

REMEDY = "save only the weights, with torch.save(model.state_dict(), path)"
_STORAGES = {  # PyTorch's classes, of which only the number type matters
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}
# No network has more tensors, nor longer names; a small file could describe more.
_MAX_TENSORS, _MAX_NAME = 100_000, 500


@dataclass(frozen=True)
class Storage:
    """A block of numbers somewhere in the file."""

    dtype: str
    key: str
    length: int  # in numbers

    @property
    def numpy(self) -> np.dtype:
        """The type of its numbers; two bytes for bfloat16, which NumPy lacks."""
        name = "uint16" if self.dtype == "bfloat16" else self.dtype
        return np.dtype(name).newbyteorder("<")

    @property
    def nbytes(self) -> int:
        """The bytes that it has in the file."""
        return self.length * self.numpy.itemsize


@dataclass(frozen=True)
class View:
    """A tensor: a view of a storage."""

    storage: Storage
    offset: int  # in numbers, as are the strides
    shape: tuple
    strides: tuple

    def array(self, read: Callable[[Storage], Any]) -> np.ndarray:
        """The numbers; `read` gives a storage's bytes. NumPy checks the bounds."""
        dtype = self.storage.numpy
        return np.ndarray(
            self.shape,
            dtype,
            read(self.storage),
            offset=dtype.itemsize * self.offset,
            strides=[dtype.itemsize * stride for stride in self.strides],
        )


class _Inert:
    """Stands for any class or function, and for what it makes: it does nothing."""

    __slots__ = ("items", "state")
    items: dict[str | int, Any]
    state: Any

    def __new__(cls, *_args: object, **_options: object) -> "_Inert":
        inert = super().__new__(cls)
        inert.items, inert.state = {}, None
        return inert

    def __init__(self, *_args: object, **_options: object) -> None:
        pass

    def __call__(self, *_args: object, **_options: object) -> "_Inert":
        return _Inert()

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        if isinstance(key, str | int):
            self.items[key] = value

    def add(self, *_items: object) -> None:
        """Ignore the items of a set or a list."""

    append = extend = add


class _Unpickler(pickle.Unpickler):
    """Finds no class or function, only what describes tensors and placeholders."""

    def __init__(self, stream: io.BytesIO) -> None:
        # Names that Python 2 wrote are text; its arrays are not, and are not needed.
        super().__init__(stream, encoding="utf-8", errors="replace")
        self.storages: dict[str, Storage] = {}

    def find_class(self, module, name):
        if module in ("torch", "torch.cuda") and name in _STORAGES:
            return _STORAGES[name]
        return {
            ("torch._utils", "_rebuild_tensor"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): self._parameter,
            ("torch._utils", "_rebuild_parameter_with_state"): self._parameter,
            ("torch._tensor", "_rebuild_from_type_v2"): self._of_type,
        }.get((module, name), _Inert)

    def persistent_load(self, pid):
        match pid:
            case ("storage", str(dtype), str(key), _, int(length), *view) if (
                dtype in _STORAGES.values() and not any(view)
            ):
                storage = Storage(dtype, key, length)
                if self.storages.setdefault(key, storage) != storage:
                    raise damaged(f"storage {key} has two descriptions")
                return storage
        # A class with its source, as in a model that was pickled as a whole; another type.
        return _Inert

    def _tensor(self, *args):
        match args:
            case (Storage() as storage, int(offset), shape, strides, *_):
                return View(storage, offset, tuple(shape), tuple(strides))
        return _Inert()

    def _parameter(self, *args):
        return args[0] if args else _Inert()

    def _of_type(self, *args):
        match args:
            case (function, _, tuple(arguments), _) if function == self._tensor:
                return self._tensor(*arguments)
        return _Inert()


def unpickle(stream: io.BytesIO) -> tuple[Any, dict[str, Storage]]:
    """The next object of a stream, and the storages that it refers to.

    Objects of classes are placeholders; `views` finds the tensors in them.
    """
    start, size = stream.tell(), len(stream.getbuffer())
    # Check lengths before allocating anything.
    for opcode, argument, _ in pickletools.genops(stream):
        # A memo index is a length, too: the memo is allocated up to it. The registry of
        # extensions would give real classes.
        too_long = opcode.name.endswith("PUT") and (argument or 0) > size
        if too_long or opcode.name.startswith("EXT"):
            raise WeightFileError(
                f"must hold a pickle of PyTorch, got another: {REMEDY}"
            )
    stream.seek(start)
    unpickler = _Unpickler(stream)
    return unpickler.load(), unpickler.storages


def views(content: Any) -> tuple[dict[str, View], dict[str, float]]:
    """All tensors in an object, by the path of keys and attributes that leads there.

    Also what the modules in it, if it is a model, add to their variances.
    """
    found: dict[str, View] = {}
    epsilons: dict[str, float] = {}
    seen: set[int] = set()  # objects may contain each other, or one many times
    waiting: list[tuple[str, str | int, Any]] = [("", "", content)]
    while waiting:
        path, key, item = waiting.pop()
        name = f"{path}.{key}" if path else str(key)
        if len(name) > _MAX_NAME or id(item) in seen:
            continue
        if isinstance(item, View):
            found[name] = item
            if len(found) > _MAX_TENSORS:
                raise WeightFileError(
                    f"must hold at most {_MAX_TENSORS:,} tensors, got more: {REMEDY}"
                )
        else:
            seen.add(id(item))
            state = item.state if isinstance(item, _Inert) else None
            if isinstance(state, dict) and isinstance(state.get("eps"), float):
                epsilons[name] = state["eps"]
            waiting += [(name, *part) for part in reversed(list(_parts(item)))]
    return found, epsilons


def _parts(item: Any) -> Iterator[tuple[str | int, Any]]:
    """What is in a container, by its keys, or in a placeholder."""
    if isinstance(item, dict):
        yield from ((k, x) for k, x in item.items() if isinstance(k, str | int))
    elif isinstance(item, list | tuple):
        yield from enumerate(item)
    elif isinstance(item, _Inert):
        yield from item.items.items()
        if isinstance(item.state, dict):
            yield from _parts(item.state)
