"""Tensors of a file before they are read, compared with what a network asks for.

Nothing is read until its shape is known to be the network's, so that what a file says
of itself cannot make this library allocate more than the network needs.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

_OTHER_NETWORK = "build the network that was saved"


class WeightFileError(ValueError):
    """A file that cannot be used; the message goes on where its path ends."""


def damaged(reason):
    """The error for a file that is not as its format says."""
    return WeightFileError(
        f"is truncated or damaged ({reason}): download it or save it again"
    )


@dataclass(frozen=True)
class Tensor:
    """A tensor that is not read yet.

    `name` is the file's own. `shape`, and what `read` returns, have the layout of
    the canonical description. `dtype` is NumPy's name, or the format's where NumPy
    has none.
    """

    name: str
    shape: tuple
    dtype: str
    read: Callable[[], np.ndarray]

    def transpose(self, *axes):
        """The tensor with its axes in another order."""
        shape = tuple(self.shape[axis] for axis in axes)
        return replace(self, shape=shape, read=lambda: self.read().transpose(axes))


@dataclass(frozen=True)
class FileLayer:
    """A layer as a file has it: its kind, and tensors by weight, bias, running_..."""

    kind: str
    tensors: dict


def by_name(tensors):
    """Tensors by canonical names, from names as PyTorch code writes them.

    Counters are left out, so is the prefix of DataParallel, and the names of the
    checkpoints of 2017 (`norm.1.weight`) become today's (`norm1.weight`).
    """
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): t for name, t in tensors.items()}
    renamed = {}
    for name, tensor in tensors.items():
        if name.endswith(".num_batches_tracked"):
            continue
        name = re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name)
        if name in renamed:
            raise WeightFileError(f"has {name} twice: save it again with one of them")
        renamed[name] = tensor
    return renamed


def by_order(found, layers):
    """Tensors by canonical names, from the layers of a file in forward order.

    The i-th layer of a kind in the file is the i-th of that kind in the network.
    """
    tensors = {}
    for kind in ("conv", "norm", "linear"):
        have = [layer.tensors for layer in found if layer.kind == kind]
        want = [layer.name for layer in layers if layer.kind == kind]
        if len(have) != len(want):
            raise WeightFileError(
                f"must fit the network: the file has {len(have)} {kind} layers, the "
                f"network {len(want)}: {_OTHER_NETWORK}"
            )
        for layer, name in zip(have, want, strict=True):
            tensors |= {f"{name}.{key}": tensor for key, tensor in layer.items()}
    return tensors


def load(tensors, shapes):
    """The arrays of a file by the canonical names in `shapes`, in that order, float32.

    Raises WeightFileError as `compare` and `check_finite` do.
    """
    compare(tensors, shapes, "the file")
    arrays = {}
    for name in shapes:
        # A copy, because the file's own bytes may be read-only or end with it.
        arrays[name] = np.array(tensors[name].read(), dtype=np.float32, order="C")
        check_finite(name, arrays[name])
    return arrays


def compare(tensors, shapes, what):
    """Raise WeightFileError for the first difference of `what` from the network.

    `tensors` have a name, shape and dtype; `shapes` are the network's. The message
    says how many more differences there are.
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


def check_finite(name, array):
    """Raise WeightFileError if a value is NaN or infinite."""
    if not np.isfinite(array).all():
        raise WeightFileError(
            f"must hold finite numbers, {name} has NaN or infinity: use weights from "
            "before the training diverged"
        )


def _difference(name, shape, tensor, what):
    """How a tensor differs from the network's and what helps, or None."""
    if tensor is None:
        return f"{name} is missing in {what}", _OTHER_NETWORK
    own = name if tensor.name == name else f"{name} ({tensor.name!r})"
    if tensor.shape != shape:
        remedy = _OTHER_NETWORK
        if name.startswith("classifier.") and tensor.shape[1:] == shape[1:]:
            remedy = f"use create_model(..., num_classes={tensor.shape[0]})"
        return f"{own} has shape {tensor.shape} in {what}, the network {shape}", remedy
    if tensor.dtype != "float32":
        text = f"{own} has dtype {tensor.dtype} in {what}, the network float32"
        return text, "convert it to float32"
    return None
