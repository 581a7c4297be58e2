"""Files of torch.save: a pickle of names and shapes, and raw storages.

Since PyTorch 1.6 both are in a zip archive; before, they were one stream. A pickle is a
program. Here it can build dictionaries and describe tensors; reading stops at any other
name that it calls for.
"""

import io
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from d2lext.core.densenet.architecture import Layer
from d2lext.core.densenet.formats.archive import read_member
from d2lext.core.densenet.formats.tensors import (
    Tensor,
    WeightFileError,
    by_name,
    damaged,
)

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_REMEDY = "save only the weights, with torch.save(model.state_dict(), path)"
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
}


@dataclass(frozen=True)
class _Storage:
    dtype: str
    key: str
    length: int  # in numbers

    @property
    def nbytes(self):
        itemsize = 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize
        return self.length * itemsize


@dataclass(frozen=True)
class _View:
    storage: _Storage
    offset: int  # in numbers, as are the strides
    shape: tuple
    strides: tuple

    def array(self, read):
        """The numbers; `read` gives a storage's bytes. NumPy checks the bounds."""
        return np.ndarray(
            self.shape,
            "<f4",
            read(self.storage),
            offset=4 * self.offset,
            strides=[4 * stride for stride in self.strides],
        )


class _Unpickler(pickle.Unpickler):
    """Builds the parts of a state_dict from placeholders that do nothing."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream, encoding="utf-8")  # names written by Python 2
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module, name):
        allowed = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): self._parameter,
        }
        if module in ("torch", "torch.cuda") and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) not in allowed:
            raise WeightFileError(
                f"must hold only tensors, it calls for {module}.{name}, where reading "
                f"stopped: {_REMEDY}"
            )
        return allowed[module, name]

    def persistent_load(self, pid):
        kind, dtype, key, _location, length, *view = pid
        if kind != "storage" or dtype not in _STORAGES.values() or any(view):
            raise WeightFileError(f"has an unknown kind of storage {pid}: {_REMEDY}")
        storage = _Storage(dtype, key, length)
        if self.storages.setdefault(key, storage) != storage:
            raise damaged(f"storage {key} has two descriptions")
        return storage

    def _tensor(self, storage, offset, shape, strides, *_autograd):
        return _View(storage, offset, tuple(shape), tuple(strides))

    def _parameter(self, data, *_autograd):
        return data


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is a pickle, as before PyTorch 1.6."""
    return head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5")


@contextmanager
def tensors(path: Path, layers: Sequence[Layer]) -> Iterator[dict[str, Tensor]]:
    """The tensors of the file by canonical names, readable within the block."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield _named(*_from_zip(archive))
    else:
        yield _named(*_from_stream(Path(path).read_bytes()))


def _from_zip(archive):
    """The pickled object, and a function from a storage to its bytes."""
    names = archive.namelist()
    root = next(n for n in names if n.endswith("data.pkl")).removesuffix("data.pkl")
    if f"{root}byteorder" in names:
        _check_byte_order(archive.read(f"{root}byteorder").decode())
    stream = io.BytesIO(read_member(archive, f"{root}data.pkl"))
    content, _ = _unpickle(stream)
    cache = {}  # tensors may share a storage

    def read(storage):
        if storage not in cache:
            data = read_member(archive, f"{root}data/{storage.key}")
            if len(data) != storage.nbytes:
                raise damaged(
                    f"storage {storage.key} must have {storage.nbytes} bytes, it has "
                    f"{len(data)}"
                )
            cache[storage] = data
        return cache[storage]

    return content, read


def _from_stream(data):
    """The same for a file from before PyTorch 1.6: five pickles, then the storages."""
    stream = io.BytesIO(data)
    magic = _unpickle(stream)[0]
    if magic != _MAGIC:
        raise WeightFileError(
            f"is a pickle, but not from torch.save, and was not read further: {_REMEDY}"
        )
    protocol, system = _unpickle(stream)[0], _unpickle(stream)[0]
    if protocol != _PROTOCOL:
        raise damaged(f"its protocol must be {_PROTOCOL}, got {protocol!r}")
    _check_byte_order("little" if system["little_endian"] else "big")
    content, storages = _unpickle(stream)
    keys, _ = _unpickle(stream)
    starts, position = {}, stream.tell()
    for key in keys:
        [length] = struct.unpack_from("<q", data, position)
        start, position = position + 8, position + 8 + storages[key].nbytes
        if length != storages[key].length or position > len(data):
            raise damaged(
                f"storage {key} must end at {position}, the file at {len(data)}"
            )
        starts[key] = start

    def read(storage):
        start = starts[storage.key]
        return memoryview(data)[start : start + storage.nbytes]

    return content, read


def _unpickle(stream):
    """The next object of a stream, and the storages that it refers to."""
    start, size = stream.tell(), len(stream.getbuffer())
    # Check lengths before allocating anything.
    for opcode, argument, _ in pickletools.genops(stream):
        # A memo index is a length, too: the memo is allocated up to it.
        if opcode.name.endswith("PUT") and (argument or 0) > size:
            raise WeightFileError(f"has a pickle that is not PyTorch's: {_REMEDY}")
    stream.seek(start)
    unpickler = _Unpickler(stream)
    return unpickler.load(), unpickler.storages


def _check_byte_order(order):
    if order != "little":
        raise WeightFileError(
            f"must be little-endian, it is {order}-endian: save it on a machine with "
            "an x86 or ARM processor"
        )


def _named(content, read):
    """Tensors by canonical names, from a state_dict or a checkpoint that holds one."""
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise WeightFileError(
            f"must hold a state_dict, it holds a {type(content).__name__}: {_REMEDY}"
        )
    by_file_name = {}
    for name, view in content.items():
        if not isinstance(view, _View):
            raise WeightFileError(
                f"must hold only tensors, {name!r} is a {type(view).__name__}: {_REMEDY}"
            )
        shape, dtype = view.shape, view.storage.dtype
        by_file_name[name] = Tensor(name, shape, dtype, partial(view.array, read))
    return by_name(by_file_name)
