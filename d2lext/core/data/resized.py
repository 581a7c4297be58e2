"""Images at another size: made once, kept in the cache and read from there.

A file of the cache is named by what it was made from, appears complete or not at all,
and is mapped into memory: an epoch reads what it needs of it, and several processes
share it.
"""

import hashlib
from contextlib import suppress

import numpy as np
from PIL import Image

from d2lext.core.data.download import cache_folder
from d2lext.core.files import replacing

_AT_ONCE = 1000  # images between two writes
_MOST_IN_MEMORY = 2  # arrays: the images to train on, and those to validate on
_in_memory = {}


def resized(images, size):
    """Images (n, h, w), uint8, at another `size` (height, width), not to be written to.

    Where the cache cannot be written to, because it is full or not ours, a notice says
    so and the images are kept in memory.
    """
    size = tuple(size)
    if images.shape[1:] == size:
        return images
    shape = (len(images), *size)
    path = cache_folder() / "resized" / f"{_name(images, size)}.npy"
    found = _read(path, shape)
    if found is not None:
        return found
    if path.name not in _in_memory:
        problem = None
        try:
            _write(path, images, shape)
        except OSError as error:
            problem = error.strerror
        found = _read(path, shape)  # it may be another process's
        if found is not None:
            return found
        print(
            f"The cache must be able to keep {_mib(shape)} MiB of resized images, got "
            f"{str(path.parent)!r} ({problem or 'it cannot be read'}): they are kept in "
            "memory this time. Make room, or set D2LEXT_CACHE to another folder."
        )
        while len(_in_memory) >= _MOST_IN_MEMORY:
            del _in_memory[next(iter(_in_memory))]
        _in_memory[path.name] = resize(images, size)
        _in_memory[path.name].flags.writeable = False
    return _in_memory[path.name]


def resize(images, size):
    """Images (n, h, w), uint8, at another `size` (height, width); Pillow's bilinear."""
    height, width = size
    larger = np.empty((len(images), height, width), np.uint8)
    for i, image in enumerate(images):
        # Pillow counts width first.
        larger[i] = Image.fromarray(image).resize(
            (width, height), Image.Resampling.BILINEAR
        )
    return larger


def _name(images, size):
    digest = hashlib.sha256(np.ascontiguousarray(images))
    digest.update(repr((images.shape, "bilinear")).encode())
    return f"{size[0]}x{size[1]}-{digest.hexdigest()[:24]}"


def _read(path, shape):
    """The array in the file, or None where there is no such file or it is damaged."""
    # What reads a damaged file raises whatever its bytes lead to.
    with suppress(Exception):
        array = np.lib.format.open_memmap(path, mode="r")
        if array.shape == shape and array.dtype == np.uint8:
            return array
    return None


def _write(path, images, shape):
    """Resize into a temporary file, which takes the name when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written, not mapped: where the disk is full, a mapping kills the process.
    with replacing(path) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for part in _parts(images, shape[1:]):
            file.write(part)


def _parts(images, size):
    return (
        resize(images[i : i + _AT_ONCE], size) for i in range(0, len(images), _AT_ONCE)
    )


def _mib(shape):
    return int(np.prod(shape)) // 2**20 + 1
