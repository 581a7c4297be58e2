"""Reads a DenseNet's weights from any framework's files, as NumPy arrays.

`read` recognises a file by its content, gives its tensors the canonical names and
layouts of `architecture`, and rejects tensors that do not fit the network.
Each format has a module; none needs a framework.
"""

import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from d2lext.core.densenet.architecture import Layer
from d2lext.core.densenet.formats import gluon, keras, pytorch, safetensors
from d2lext.core.densenet.formats.safetensors import write
from d2lext.core.densenet.formats.tensors import (
    Tensor,
    WeightFileError,
    check_finite,
    compare,
    damaged,
    load,
)

__all__ = ["check", "read", "read_metadata", "write"]


def read(
    path: str | os.PathLike[str], layers: Sequence[Layer]
) -> dict[str, np.ndarray]:
    """The tensors of `layers` from the file, by canonical name and in that order.

    Arrays are float32 and contiguous: convolutions (out, in, height, width), linear
    layers (out, in). Raises ValueError if the file has an unknown format, is damaged,
    would run code, or does not fit the network exactly; the message names the first
    difference. Raises FileNotFoundError for a missing file.
    """
    return _attempt(path, _read, layers)


def check(
    weights: Mapping[str, ArrayLike], shapes: Mapping[str, tuple[int, ...]], what: str
) -> None:
    """Raise ValueError unless arrays have exactly the names and shapes in `shapes`.

    They must be float32 and finite. The message calls them `what`.
    """
    arrays = {name: np.asarray(array) for name, array in weights.items()}
    tensors = {n: Tensor(n, a.shape, a.dtype.name, a.copy) for n, a in arrays.items()}
    try:
        compare(tensors, shapes, what)
        for name, array in arrays.items():
            check_finite(name, array)
    except WeightFileError as error:
        raise ValueError(f"{what} {error}") from None


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The architecture's options from a file of this library; None for other files.

    They are what Architecture.options returns. Raises ValueError and FileNotFoundError
    like `read`.
    """
    return _attempt(path, _read_metadata)


def _attempt(path, function, *args):
    """Call function(path, *args), and prefix its errors with the path."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(
            f"{os.fspath(path)} must be a weight file, it is a folder: name a file in it"
        )
    with open(path, "rb"):  # a missing file is not a damaged one
        pass
    try:
        return function(path, *args)
    except (ImportError, MemoryError):
        raise
    except WeightFileError as error:
        raise ValueError(f"{os.fspath(path)} {error}") from None
    # What a library raises for a damaged file depends on its bytes.
    except Exception as error:
        reason = damaged(f"{type(error).__name__}: {error}")
        raise ValueError(f"{os.fspath(path)} {reason}") from error


def _read(path, layers):
    with _format(path).tensors(path, layers) as tensors:
        shapes = {n: s for layer in layers for n, s in layer.tensors().items()}
        return load(tensors, shapes)


def _read_metadata(path):
    return safetensors.metadata(path) if _format(path) is safetensors else None


def _format(path: Path) -> ModuleType:
    """The module that reads the file."""
    with open(path, "rb") as file:
        head = file.read(16)
    if head.startswith(b"PK\3\4"):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if keras.MEMBER in names:
            return keras
        if any(name.endswith("/data.pkl") for name in names):
            return pytorch
    for module in (safetensors, pytorch, keras, gluon):
        if module.recognises(head):
            return module
    raise WeightFileError(
        "must be a weight file of safetensors, PyTorch, Keras or Gluon, "
        + (f"it begins with {head!r}: " if head else "it is empty: ")
        + "download it again"
    )
