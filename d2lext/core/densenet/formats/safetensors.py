"""The safetensors format: a JSON header with names and offsets, then raw numbers.

Files of this library have canonical names, and their architecture in the metadata; other
files may have the same names without the metadata.
"""

import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from d2lext.core.densenet.architecture import Architecture, Layer
from d2lext.core.densenet.formats.names import by_name
from d2lext.core.densenet.formats.tensors import Tensor, WeightFileError
from d2lext.core.files import replacing

_FORMAT = "d2lext"
_MAX_HEADER = 100_000_000  # bytes, the format's own limit
_DTYPES = {"F32": "float32", "F64": "float64", "F16": "float16", "BF16": "bfloat16"}


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` has this format."""
    # Any 8 bytes are a length, so the limit and the brace exclude text files.
    return head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= _MAX_HEADER


@contextmanager
def tensors(path: Path, layers: Sequence[Layer]) -> Iterator[dict[str, Tensor]]:
    """The tensors of the file by canonical names, readable within the block."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        found = []
        for name in file.keys():  # noqa: SIM118  the file itself is not iterable
            part = file.get_slice(name)
            dtype = _DTYPES.get(part.get_dtype(), part.get_dtype())
            shape = tuple(part.get_shape())
            read = partial(file.get_tensor, name)
            if dtype == "bfloat16":  # which NumPy lacks
                read = partial(_halves, path, name, shape)
            found.append(Tensor(name, shape, dtype, read))
        yield by_name(found, layers)


def _halves(path, name, shape):
    """A tensor of bfloat16 as numbers of two bytes, from a file that was checked."""
    with open(path, "rb") as file:
        [length] = struct.unpack("<Q", file.read(8))
        start, end = json.loads(file.read(length))[name]["data_offsets"]
        file.seek(8 + length + start)
        return np.frombuffer(file.read(end - start), "<u2").reshape(shape)


def metadata(path: Path) -> dict[str, Any] | None:
    """The architecture's options in a file of this library, or None."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        entries = file.metadata() or {}
    if entries.get("format") != _FORMAT:
        return None
    options = json.loads(entries["architecture"])
    if not isinstance(options, dict):
        raise WeightFileError(
            f"must describe the architecture by its options, got {options!r}: "
            "save it again"
        )
    return options


def write(
    path: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray],
    architecture: Architecture,
) -> None:
    """Write float32 arrays by canonical names, and their architecture's options.

    The file appears complete or not at all, and equal arguments give equal bytes.
    Raises ValueError for an array that is not float32, OSError for a missing folder.
    """
    # Not with the library, which writes the metadata's keys in random order.
    options = json.dumps(architecture.options())
    header: dict[str, dict] = {
        "__metadata__": {"format": _FORMAT, "architecture": options}
    }
    start = 0
    for name, array in tensors.items():
        if array.dtype != np.float32:
            raise ValueError(
                f"weights must be float32, got {array.dtype} for {name}: convert the model "
                "to float32 before saving it"
            )
        end = start + array.nbytes
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # aligns the numbers
    with replacing(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(array.astype("<f4", order="C", copy=False).tobytes())
