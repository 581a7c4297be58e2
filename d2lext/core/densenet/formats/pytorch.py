"""Files of torch.save: a pickle of names and shapes, and raw storages.

Since PyTorch 1.6 both are in a zip archive; before, they were one stream.
"""

import io
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from d2lext.core.densenet.architecture import Layer
from d2lext.core.densenet.formats.archive import read_member
from d2lext.core.densenet.formats.names import by_name
from d2lext.core.densenet.formats.tensors import (
    EPSILON,
    Tensor,
    WeightFileError,
    damaged,
)
from d2lext.core.densenet.formats.unpickling import REMEDY, unpickle, views

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is a pickle, as before PyTorch 1.6."""
    return head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5")


@contextmanager
def tensors(path: Path, layers: Sequence[Layer]) -> Iterator[dict[str, Tensor]]:
    """The tensors of the file by canonical names, readable within the block."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield by_name(_tensors(*_from_zip(archive)), layers)
    else:
        content, read = _from_stream(Path(path).read_bytes())
        yield by_name(_tensors(content, read), layers)


def _from_zip(archive):
    """The pickled object, and a function from a storage to its bytes."""
    names = archive.namelist()
    root = next(n for n in names if n.endswith("data.pkl")).removesuffix("data.pkl")
    if f"{root}byteorder" in names:
        _check_byte_order(read_member(archive, f"{root}byteorder").decode())
    stream = io.BytesIO(read_member(archive, f"{root}data.pkl"))
    content, _ = unpickle(stream)
    cache = {}  # tensors may share a storage

    def read(storage):
        if storage not in cache:
            data = read_member(archive, f"{root}data/{storage.key}")
            if len(data) != storage.nbytes:
                raise damaged(
                    f"storage {storage.key} must have {storage.nbytes} bytes, got "
                    f"{len(data)}"
                )
            cache[storage] = data
        return cache[storage]

    return content, read


def _from_stream(data):
    """The same for a file from before PyTorch 1.6: five pickles, then the storages."""
    stream = io.BytesIO(data)
    magic = unpickle(stream)[0]
    if magic != _MAGIC:
        raise WeightFileError(
            f"must be a pickle of torch.save, got another, not read further: {REMEDY}"
        )
    protocol, system = unpickle(stream)[0], unpickle(stream)[0]
    if protocol != _PROTOCOL:
        raise damaged(f"its protocol must be {_PROTOCOL}, got {protocol!r}")
    _check_byte_order("little" if system["little_endian"] else "big")
    content, storages = unpickle(stream)
    keys, _ = unpickle(stream)
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


def _check_byte_order(order):
    if order != "little":
        raise WeightFileError(
            f"must be little-endian, got {order}-endian: save it on a machine with "
            "an x86 or ARM processor"
        )


def _tensors(content, read):
    """The tensors in the pickled object, by the path that leads to each."""
    found, epsilons = views(content)
    tensors = []
    for name, view in found.items():
        tensor = Tensor(name, view.shape, view.storage.dtype, partial(view.array, read))
        module, _, last = name.rpartition("._buffers.")
        if last == "running_var":  # in a model that was saved as a whole
            tensor = tensor.plus(epsilons.get(module, EPSILON) - EPSILON)
        tensors.append(tensor)
    return tensors
