"""Compares a file's tensors with the network's before reading them.

Nothing is read until its shape is known to match the network's, so a file's claims cannot
make this library allocate more than the network needs.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from d2lext.core.densenet.architecture import Layer

_OTHER_NETWORK = "build the network that was saved"


class WeightFileError(ValueError):
    """A file that cannot be used; the message is to follow the file's path."""


def damaged(reason: str) -> WeightFileError:
    """The error for a file that violates its format."""
    return WeightFileError(
        f"is truncated or damaged ({reason}): download it or save it again"
    )


@dataclass(frozen=True)
class Tensor:
    """A tensor that has not been read yet.

    `name` is the file's. `shape` and the array that `read` returns have the canonical
    layout. `dtype` is NumPy's name, or the format's if NumPy has none.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]

    def transpose(self, *axes: int) -> "Tensor":
        """The tensor with its axes in another order."""
        shape = tuple(self.shape[axis] for axis in axes)
        return replace(self, shape=shape, read=lambda: self.read().transpose(axes))


@dataclass(frozen=True)
class FileLayer:
    """A layer in a file: its kind, and its tensors by weight, bias, running_..."""

    kind: str
    tensors: dict[str, Tensor]


def by_name(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by canonical names, from the names that PyTorch code writes.

    Counters and the prefix of DataParallel are dropped; the names in checkpoints of
    2017 (`norm.1.weight`) become today's (`norm1.weight`).
    """
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): t for name, t in tensors.items()}
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(".num_batches_tracked"):
            continue
        name = re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name)
        if name in renamed:
            raise WeightFileError(f"has {name} twice: save it again with one of them")
        renamed[name] = tensor
    return renamed


def by_order(
    file_layers: Sequence[FileLayer], layers: Sequence[Layer]
) -> dict[str, Tensor]:
    """Tensors by canonical names, from the layers of a file in forward order.

    The i-th layer of a kind in the file is the i-th of that kind in the network.
    """
    tensors: dict[str, Tensor] = {}
    for kind in ("conv", "norm", "linear"):
        sources = [layer.tensors for layer in file_layers if layer.kind == kind]
        names = [layer.name for layer in layers if layer.kind == kind]
        if len(sources) != len(names):
            raise WeightFileError(
                f"must fit the network: the file has {len(sources)} {kind} layers, the "
                f"network {len(names)}: {_OTHER_NETWORK}"
            )
        for name, source in zip(names, sources, strict=True):
            tensors |= {f"{name}.{key}": tensor for key, tensor in source.items()}
    return tensors


def load(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """The arrays of a file by the canonical names in `shapes`, in that order, float32.

    Raises WeightFileError as `compare` and `check_finite` do.
    """
    compare(tensors, shapes, "the file")
    arrays = {}
    for name in shapes:
        # A copy: the file's bytes may be read-only, or disappear when it is closed.
        arrays[name] = np.array(tensors[name].read(), dtype=np.float32, order="C")
        check_finite(name, arrays[name])
    return arrays


def compare(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], what: str
) -> None:
    """Raise WeightFileError for the first difference between `tensors` and the network.

    `shapes` are the network's. The message calls the tensors `what`, and counts the
    other differences.
    """
    differences = [
        difference
        for name, shape in shapes.items()
        if (difference := _difference(name, tuple(shape), tensors.get(name), what))
    ]
    differences += [
        (f"{tensor.name!r} is in {what}, but not in the network", _OTHER_NETWORK)
        for name, tensor in tensors.items()
        if name not in shapes
    ]
    if differences:
        text, remedy = differences[0]
        more = len(differences) - 1
        others = f" (and {more} more difference{'s' * (more > 1)})" if more else ""
        raise WeightFileError(f"must fit the network: {text}{others}: {remedy}")


def check_finite(name: str, array: np.ndarray) -> None:
    """Raise WeightFileError if a value is NaN or infinite."""
    if not np.isfinite(array).all():
        raise WeightFileError(
            f"must hold finite numbers, {name} has NaN or infinity: use weights from "
            "before the training diverged"
        )


def _difference(name, shape, tensor, what):
    """How a tensor differs from the network's, and the remedy; or None."""
    if tensor is None:
        return f"{name} is missing from {what}", _OTHER_NETWORK
    names = name if tensor.name == name else f"{name} ({tensor.name!r})"
    if tensor.shape != shape:
        remedy = _OTHER_NETWORK
        if name.startswith("classifier.") and tensor.shape[1:] == shape[1:]:
            remedy = f"use create_model(..., num_classes={tensor.shape[0]})"
        text = f"{names} has shape {tensor.shape} in {what}, the network {shape}"
        return text, remedy
    if tensor.dtype != "float32":
        text = f"{names} has dtype {tensor.dtype} in {what}, the network float32"
        return text, "convert it to float32"
    return None
