"""Reads a DenseNet's weights from any framework's files, as NumPy arrays.

`read` recognises a file by its content, gives its tensors the canonical names and
layouts of `architecture`, and rejects tensors that do not fit the network.
Each format has a module; none needs a framework.
"""

import os
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from d2lext.core.densenet.architecture import Layer
from d2lext.core.densenet.formats import flax, gluon, keras, pytorch, safetensors
from d2lext.core.densenet.formats.fitting import fit
from d2lext.core.densenet.formats.safetensors import write
from d2lext.core.densenet.formats.tensors import (
    Tensor,
    WeightFileError,
    damaged,
    load,
)

__all__ = ["check", "read", "read_metadata", "write"]

_ORBAX = "_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt", "checkpoint"


def read(
    path: str | os.PathLike[str],
    layers: Sequence[Layer],
    *,
    adapt_input: bool = False,
    classes: Sequence[int] | None = None,
) -> dict[str, np.ndarray]:
    """The tensors of `layers` from the file, by canonical name and in that order.

    Arrays are float32 and contiguous: convolutions (out, in, height, width), linear
    layers (out, in). Where `layers` has no classifier, the file's is ignored. For
    `adapt_input` and `classes`, see `Weights.load_weights`. Raises ValueError if the file
    has an unknown format, is damaged, or does not fit the network exactly; the message
    names the first difference. Raises FileNotFoundError for a missing file.
    """
    return _attempt(path, _read, layers, adapt_input, classes)


def check(
    weights: Mapping[str, ArrayLike], shapes: Mapping[str, tuple[int, ...]], what: str
) -> dict[str, np.ndarray]:
    """Copies of the arrays as float32, contiguous, and in the order of `shapes`.

    Raises ValueError unless they have exactly these names and shapes, a floating-point
    type, and finite numbers. The message calls them `what`.
    """
    arrays = {name: np.asarray(array) for name, array in weights.items()}
    tensors = {n: Tensor(n, a.shape, a.dtype.name, a.view) for n, a in arrays.items()}
    try:
        return load(tensors, shapes, what)
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
            f"{os.fspath(path)} must be a weight file, got a folder: {_in_folder(path)}"
        )
    with open(path, "rb"):  # a missing file is not a damaged one
        pass
    try:
        return function(path, *args)
    except (ImportError, MemoryError, Warning):
        raise
    except WeightFileError as error:
        raise ValueError(f"{os.fspath(path)} {error}") from None
    # What a library raises for a damaged file depends on its bytes.
    except Exception as error:
        reason = damaged(f"{type(error).__name__}: {error}")
        raise ValueError(f"{os.fspath(path)} {reason}") from error


def _in_folder(path):
    """What to do with a folder."""
    if any((path / name).exists() for name in _ORBAX):
        return (
            "restore it with Orbax into model.variables, then use save_weights, or "
            "flax.serialization.to_bytes(model.variables)"
        )
    return "name a file in it"


def _read(path, layers, adapt_input, classes):
    module = _format(path)
    if module is keras and (computed := keras.preprocessing(path)):
        if not adapt_input:
            raise WeightFileError(
                f"must be of a network without preprocessing, got one that makes of "
                f"an image X {computed}: do so yourself with every image, and use "
                "load_weights(..., adapt_input=True)"
            )
        warnings.warn(
            f"the network in {path} makes of an image X {computed}: do so yourself with "
            "every image",
            stacklevel=2,
        )
    with module.tensors(path, layers) as tensors:
        shapes = {n: s for layer in layers for n, s in layer.tensors().items()}
        size = path.stat().st_size
        return load(fit(tensors, shapes, adapt_input, classes, size), shapes)


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
        if any(name.endswith(".npy") for name in names):
            raise WeightFileError(
                "must be a weight file, got an archive of NumPy arrays: for weights by "
                "name use set_weights(model, dict(numpy.load(path))), for a checkpoint "
                "Trainer(checkpoint=path)"
            )
    for module in (safetensors, pytorch, keras, gluon, flax):
        if module.recognises(head):
            return module
    raise WeightFileError(
        "must be a weight file of safetensors, PyTorch, Keras, Gluon or Flax, got "
        + (f"one that begins with {head!r}: " if head else "an empty one: ")
        + "download it again"
    )
