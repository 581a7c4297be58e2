"""Gluon's `.params`: a list of arrays, each with its header, then their names.

The layout is that of NDArray::Save in MXNet's src/ndarray/ndarray.cc. The names are those
of the DenseNet in Gluon's model zoo, in any of the ways in which Gluon writes them; they
determine the order of the layers.
"""

import math
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from d2lext.core.densenet.architecture import Layer, has_classifier
from d2lext.core.densenet.formats.order import FileLayer, by_order, in_model, numbers
from d2lext.core.densenet.formats.tensors import Tensor, WeightFileError, damaged, some

_LIST_MAGIC = struct.pack("<Q", 0x112)
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA  # V2: storage type; V3: NumPy shapes
_DTYPES = {  # by MXNet's number: the name, and NumPy's type
    0: ("float32", "<f4"),
    1: ("float64", "<f8"),
    2: ("float16", "<f2"),
    3: ("uint8", "u1"),
    4: ("int32", "<i4"),
    5: ("int8", "i1"),
    6: ("int64", "<i8"),
    7: ("bool", "?"),
    12: ("bfloat16", "<u2"),
}
_MAX_NDIM = 32
_KEYS = {
    "weight": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "running_mean": "running_mean",
    "running_var": "running_var",
}
_KEY = f"({'|'.join(_KEYS)})"
# Written by save_parameters: the path through the nested blocks, of our models too.
_STRUCTURAL = re.compile(
    rf"(?:.*?\.)??(features(?:\.\d+)+|output(?:\.\d+)*|"
    rf"net\.\d+(?:\.(?:\d+|blocks|net))*)\.{_KEY}"
)
# Written by collect_params().save and export: kinds, counted within their block.
_PREFIXED = re.compile(
    rf"(?:arg:|aux:)?(.*?)(?:stage(\d+)_)?(conv|batchnorm|dense)(\d+)_{_KEY}"
)


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` has this format."""
    return head.startswith(_LIST_MAGIC)


@contextmanager
def tensors(path: Path, layers: Sequence[Layer]) -> Iterator[dict[str, Tensor]]:
    """The tensors of the file by canonical names."""
    file_layers, rest = _layers(_arrays(Path(path).read_bytes()))
    found = by_order(file_layers, layers)
    yield found | rest if has_classifier(layers) else found


def _arrays(data):
    """The tensors in the bytes of a file."""
    reader = _Reader(data, position=16)  # after the magic number and a reserved one
    parts = [reader.array() for _ in range(reader.count())]
    names = [str(reader.bytes(reader.count()), "utf-8") for _ in range(reader.count())]
    if len(names) != len(parts) or len(set(names)) != len(names):
        raise WeightFileError(
            f"must have a name for each of its {len(parts)} arrays, got "
            f"{len(set(names))}: save it with net.save_parameters(path)"
        )
    return [Tensor(n, *part) for n, part in zip(names, parts, strict=True)]


class _Reader:
    """Reads a file's little-endian numbers, one after another."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = memoryview(data), position

    def bytes(self, length: int) -> memoryview:
        """The next bytes; raises WeightFileError if the file ends earlier."""
        start, self.position = self.position, self.position + length
        if self.position > len(self.data):
            raise damaged(f"it must have {self.position} bytes, got {len(self.data)}")
        return self.data[start : self.position]

    def numbers(self, types: str) -> tuple:
        """The next numbers, of the `types` as abbreviated in `struct`."""
        return struct.unpack(f"<{types}", self.bytes(struct.calcsize(f"<{types}")))

    def count(self) -> int:
        """The length of the list or string that follows."""
        return self.numbers("Q")[0]

    def array(self) -> tuple[tuple, str, Callable[[], np.ndarray]]:
        """The shape, type and `read` function of the next array."""
        [magic] = self.numbers("I")
        if magic not in (_V1, _V2, _V3):
            raise damaged(f"no array begins with {magic:#x}")
        if magic != _V1 and self.numbers("i") != (0,):
            raise WeightFileError(
                "must have dense arrays, got a sparse one: save it as dense"
            )
        [ndim] = self.numbers("i")
        if ndim <= 0:
            raise WeightFileError(
                "must have values in all arrays, got an empty one: save the network "
                "after its first batch"
            )
        if ndim > _MAX_NDIM:
            raise damaged(f"an array must have at most {_MAX_NDIM} axes, got {ndim}")
        shape = self.numbers("q" * ndim)
        _device, _index, flag = self.numbers("iii")
        if flag not in _DTYPES or min(shape) < 0:
            raise damaged(f"no array has shape {shape} and the type number {flag}")
        dtype, numpy = _DTYPES[flag]
        data = self.bytes(math.prod(shape) * np.dtype(numpy).itemsize)
        return shape, dtype, lambda: np.ndarray(shape, numpy, data)


def _layers(
    arrays: Sequence[Tensor],
) -> tuple[list[FileLayer], dict[str, Tensor]]:
    """The layers in forward order, from the names of their tensors; what is in none."""
    layers: dict[tuple, dict[str, Tensor]] = {}
    rest: dict[str, Tensor] = {}
    names = [tensor.name for tensor in arrays]
    if not any(map(_match, names)):
        names = in_model(names)
    for name, tensor in zip(names, arrays, strict=True):
        match = _match(name)
        if not match:
            path, _, last = name.rpartition(".")
            if path.startswith(("features.", "net.")):  # between the layers
                layers.setdefault((path,), {})[last] = tensor
            else:
                rest[tensor.name] = tensor
            continue
        *place, key = match.groups()
        layer = layers.setdefault(tuple(place), {})
        if _KEYS[key] in layer:
            raise WeightFileError(
                f"must have each array once, got {tensor.name!r} with and without a "
                "prefix: save it again"
            )
        layer[_KEYS[key]] = tensor
    if not layers:
        raise WeightFileError(
            "must have the names of Gluon's DenseNet, such as 'features.0.weight', got "
            f"{some(rest)}: use weights of that network"
        )
    in_order = sorted(layers, key=_order)
    return [FileLayer.of(layers[place]) for place in in_order], rest


def _match(name):
    """The place and the key in a layer's name; None in any other."""
    return _STRUCTURAL.fullmatch(name) or _PREFIXED.fullmatch(name)


def _order(place):
    """A key that sorts layers in forward order."""
    if len(place) == 1:  # features.0, ..., features.10, output
        return numbers(place[0])
    # Stage 1 follows the layers numbered 0 outside the stages, and so on.
    _, stage, _, number = place
    return [2 * int(stage) - 1, int(number)] if stage else [2 * int(number), 0]
