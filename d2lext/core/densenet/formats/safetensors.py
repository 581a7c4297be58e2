"""The safetensors format: a JSON header with names and places, then raw numbers.

Files of this library have the canonical names and say in their metadata which
architecture they belong to; others may have the same names without it.
"""

import json
import struct
from contextlib import contextmanager
from functools import partial

import numpy as np

from d2lext.core.densenet.formats.tensors import Tensor, WeightFileError, by_name
from d2lext.core.files import replacing

_FORMAT = "d2lext"
_MAX_HEADER = 100_000_000  # bytes, the format's own limit
_DTYPES = {"F32": "float32", "F64": "float64", "F16": "float16", "BF16": "bfloat16"}


def recognises(head):
    """Whether a file that begins with `head` is of this format."""
    # Any 8 bytes are a length, so the limit and the brace tell it from a text file.
    return head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= _MAX_HEADER


@contextmanager
def tensors(path, layers):
    """The tensors of the file by canonical names, readable within the block."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        found = {}
        for name in file.keys():  # noqa: SIM118  the file itself is no iterable
            part = file.get_slice(name)
            dtype = _DTYPES.get(part.get_dtype(), part.get_dtype())
            shape = tuple(part.get_shape())
            found[name] = Tensor(name, shape, dtype, partial(file.get_tensor, name))
        yield by_name(found)


def metadata(path):
    """The options of the network that a file of this library was saved from, or None."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        found = file.metadata() or {}
    if found.get("format") != _FORMAT:
        return None
    options = json.loads(found["architecture"])
    if not isinstance(options, dict):
        raise WeightFileError(
            f"must describe the architecture by its options, got {options!r}: "
            "save it again"
        )
    return options


def write(path, tensors, architecture):
    """Write float32 arrays by canonical names, and the options of their architecture.

    The file appears complete or not at all, and equal arguments give equal bytes.
    Raises ValueError for an array that is not float32.
    """
    # Not by the library, which writes the metadata's keys in an order of chance.
    options = json.dumps(architecture.options())
    header = {"__metadata__": {"format": _FORMAT, "architecture": options}}
    start = 0
    for name, array in tensors.items():
        if array.dtype != np.float32:
            raise ValueError(
                f"weights must be float32, {name} is {array.dtype}: convert the model "
                "to float32 before it is saved"
            )
        end = start + array.nbytes
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers are aligned
    with replacing(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(array.astype("<f4", order="C", copy=False).tobytes())
