"""Resizes images once, then reads them from the cache.

A cached file is named after what it was made from, appears complete or not at all, and
is mapped into memory: an epoch reads only what it needs, and processes share it.
"""

import hashlib
from contextlib import suppress

import numpy as np
from PIL import Image

from d2lext.core.data.download import cache_folder
from d2lext.core.files import replacing

_AT_ONCE = 1000  # images per write
_MOST_IN_MEMORY = 2  # arrays: the training and the validation images
_in_memory: dict[str, np.ndarray] = {}


def resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Images (n, h, w), uint8, at another `size` (height, width), read-only.

    If the cache is full or not writable, a notice says so and the images are kept in
    memory.
    """
    size = size[0], size[1]
    if images.shape[1:] == size:
        return images
    shape = (len(images), *size)
    path = cache_folder() / "resized" / f"{_name(images, size)}.npy"
    cached = _read(path, shape)
    if cached is not None:
        return cached
    if path.name not in _in_memory:
        problem = None
        try:
            _write(path, images, shape)
        except OSError as error:
            problem = error.strerror
        cached = _read(path, shape)  # it may be another process's
        if cached is not None:
            return cached
        print(
            f"The cache must be able to hold {_mib(shape)} MiB of resized images, got "
            f"{str(path.parent)!r} ({problem or 'it cannot be read'}): this time they "
            "are kept in memory. Make room, or set D2LEXT_CACHE to another folder."
        )
        while len(_in_memory) >= _MOST_IN_MEMORY:
            del _in_memory[next(iter(_in_memory))]
        _in_memory[path.name] = resize(images, size)
        _in_memory[path.name].flags.writeable = False
    return _in_memory[path.name]


def resize(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Images (n, h, w), uint8, at another `size` (height, width), by Pillow (bilinear)."""
    height, width = size
    larger = np.empty((len(images), height, width), np.uint8)
    for i, image in enumerate(images):
        # Pillow counts width first.
        larger[i] = np.asarray(
            Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        )
    return larger


def _name(images, size):
    digest = hashlib.sha256(np.ascontiguousarray(images).data)
    digest.update(repr((images.shape, "bilinear")).encode())
    return f"{size[0]}x{size[1]}-{digest.hexdigest()[:24]}"


def _read(path, shape):
    """The array in the file, or None if the file is missing or damaged."""
    # The error for a damaged file depends on its bytes.
    with suppress(Exception):
        array = np.lib.format.open_memmap(path, mode="r")
        if array.shape == shape and array.dtype == np.uint8:
            return array
    return None


def _write(path, images, shape):
    # Written, not mapped: on a full disk a mapping kills the process.
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
