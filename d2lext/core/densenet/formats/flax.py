"""Flax's msgpack: the variables of one of our models, as `flax.serialization` writes them.

Arrays are (shape, type, bytes) in a tree of dictionaries, in Flax's layouts.
"""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from d2lext.core.densenet.architecture import Layer, has_classifier
from d2lext.core.densenet.formats.names import one
from d2lext.core.densenet.formats.order import (
    OWN_PLACE,
    by_order,
    in_model,
    in_places,
)
from d2lext.core.densenet.formats.tensors import Tensor, WeightFileError, damaged, some

_KEYS = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
_VARIABLE = re.compile(
    rf"(?P<before>(?:.*?\.)??)(?:params|batch_stats)\.(?P<place>{OWN_PLACE})\.(?P<key>\w+)"
)
_OTHER = re.compile(r"(?P<before>(?:.*?\.)??)(?:params|batch_stats)\..*")
_AXES = {4: (3, 2, 0, 1), 2: (1, 0)}  # (h, w, in, out), (in, out)
_ARRAY = 1  # Flax's number for the extension of msgpack
_REMEDY = "save it with flax.serialization.to_bytes(model.variables)"


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is a msgpack map whose keys are text."""
    # A map of up to 15 entries, then a string of up to 31 bytes.
    return len(head) > 1 and head[0] & 0xF0 == 0x80 and head[1] & 0xE0 == 0xA0


@contextmanager
def tensors(path: Path, layers: Sequence[Layer]) -> Iterator[dict[str, Tensor]]:
    """The tensors of the file by canonical names."""
    arrays = dict(_arrays(Path(path).read_bytes()))
    if not any(map(_VARIABLE.fullmatch, arrays)):
        arrays = dict(zip(in_model(arrays), arrays.values(), strict=True))
    networks: dict[str, dict[tuple[str, str], Tensor]] = {}
    rest: dict[str, dict[str, Tensor]] = {}
    for name, tensor in arrays.items():
        if match := _VARIABLE.fullmatch(name):
            network = networks.setdefault(match["before"], {})
            network[match["place"], _KEYS.get(match["key"], match["key"])] = tensor
        elif match := _OTHER.fullmatch(name):
            rest.setdefault(match["before"], {})[name] = tensor
    if not networks:
        raise WeightFileError(
            "must hold the variables of a DenseNet of this library, such as "
            f"'params.net.layers_0.kernel', got {some(arrays)}: {_REMEDY}"
        )
    before = one(list(networks))
    if not any(key == "running_mean" for _, key in networks[before]):
        raise WeightFileError(
            "must hold the statistics of normalization, batch_stats, beside the "
            f"parameters, got these alone: {_REMEDY}"
        )
    found = by_order(in_places(networks[before]), layers)
    yield found | rest.get(before, {}) if has_classifier(layers) else found


def _arrays(data: bytes) -> Iterator[tuple[str, Tensor]]:
    """The arrays in the bytes of a file, by the path of keys."""
    try:
        import msgpack
    except ImportError:
        raise ImportError(
            "Flax' files are read with msgpack, which comes with Flax: install it with "
            "pip install msgpack"
        ) from None
    # Its limits are the length of the data, and 1,024 levels.
    tree = msgpack.unpackb(data, ext_hook=_unpack)
    waiting: list[tuple[str, Any]] = [("", tree)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, dict):
            waiting += [
                (f"{path}.{key}" if path else key, x)
                for key, x in item.items()
                if isinstance(key, str)
            ]
        elif isinstance(item, tuple):
            shape, dtype, buffer = item
            yield path, _tensor(path, tuple(shape), str(dtype), buffer)


def _unpack(code, data):
    """An extension: an array's shape, type and bytes, or nothing."""
    import msgpack

    return tuple(msgpack.unpackb(data)) if code == _ARRAY else None


def _tensor(name, shape, dtype, buffer):
    numpy = np.dtype("<u2" if dtype == "bfloat16" else dtype)
    if numpy.hasobject or math.prod(shape) * numpy.itemsize != len(buffer):
        raise damaged(
            f"{name} of shape {shape} and type {dtype} has {len(buffer)} bytes"
        )
    tensor = Tensor(name, shape, dtype, lambda: np.ndarray(shape, numpy, buffer))
    return tensor.transpose(*_AXES[len(shape)]) if len(shape) in _AXES else tensor
