"""Compares a file's tensors with the network's before reading them.

Nothing is read until its shape is known to match the network's, so a file's claims cannot
make this library allocate more than the network needs.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

_OTHER_NETWORK = "build the network that was saved"
OWN_HEAD = "load_weights(..., head=False) takes the features and keeps the model's head"
# Names in PyTorch of what a weight is computed from.
_COMPUTED = re.compile(r"\.parametrizations\.|weight_[gv]$|_orig$")
_PERMANENT = (
    "before saving, make what is computed permanent, for example by "
    "torch.nn.utils.prune.remove or remove_parametrizations"
)
EPSILON = 1e-5  # what this library's normalizations add to a variance
# Each has its value in float32, but for float64, which is rounded.
FLOATS = ("float16", "bfloat16", "float32", "float64")


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
    layout. `dtype` is NumPy's name, or the format's if NumPy has none; of a bfloat16,
    which NumPy lacks, `read` returns two bytes.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]

    def transpose(self, *axes: int) -> "Tensor":
        """The tensor with its axes in another order."""
        shape = tuple(self.shape[axis] for axis in axes)
        return replace(self, shape=shape, read=lambda: self.read().transpose(axes))

    def array(self) -> np.ndarray:
        """The numbers as float32, in memory of their own."""
        numbers = self.read()
        if self.dtype == "bfloat16":  # the upper half of a float32
            halves = np.ascontiguousarray(numbers).view("<u2")
            return (halves.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):  # a float64 too large is found as infinity
            # A copy: the file's bytes may be read-only, or disappear when it is closed.
            return np.array(numbers, np.float32, order="C")

    def map(
        self, shape: tuple[int, ...], change: Callable[[np.ndarray], np.ndarray]
    ) -> "Tensor":
        """The tensor of `shape` that `change` computes from the array."""
        return Tensor(
            self.name, shape, self.dtype_of_array, lambda: change(self.array())
        )

    def plus(self, number: float) -> "Tensor":
        """The tensor with a number added to each of its own, rounded once."""

        def add(array):
            return (array.astype(np.float64) + number).astype(np.float32)

        return self.map(self.shape, add) if number else self

    @property
    def dtype_of_array(self) -> str:
        """The type that `array` has, or one that no weights have."""
        return "float32" if self.dtype in FLOATS else self.dtype


def some(names: Iterable[str], count: int = 3) -> str:
    """The first of some names, for a message."""
    names = list(names)
    shown = [repr(name if len(name) < 80 else f"{name[:77]}...") for name in names]
    return ", ".join([*shown[:count], "..."][: len(shown)]) or "no tensors"


def load(
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    what: str = "the file",
) -> dict[str, np.ndarray]:
    """The arrays of `tensors` by the canonical names in `shapes`, in that order, float32.

    Raises WeightFileError as `compare` and `check_finite` do.
    """
    compare(tensors, shapes, what)
    arrays = {}
    for name in shapes:
        arrays[name] = tensors[name].array()
        check_finite(name, arrays[name])
    return arrays


def compare(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], what: str
) -> None:
    """Raise WeightFileError for the first difference between `tensors` and the network.

    `shapes` are the network's. The message calls the tensors `what`, and counts the
    other differences.
    """
    # The names to show beside one that is missing: those that nothing expects.
    unknown = [t.name for name, t in tensors.items() if name not in shapes]
    others = f", which has {some(unknown)}" if unknown else ""
    differences = [
        difference
        for name, shape in shapes.items()
        if (difference := _difference(name, tuple(shape), tensors, what, others))
    ]
    differences += [
        (f"{tensor.name!r} is in {what}, but not in the network", _OTHER_NETWORK)
        for name, tensor in tensors.items()
        if name not in shapes
    ]
    if differences:
        text, remedy = differences[0]
        if "is missing" in text and any(map(_COMPUTED.search, unknown)):
            remedy = _PERMANENT
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


def _difference(name, shape, tensors, what, others):
    """How a tensor differs from the network's, and the remedy; or None."""
    tensor = tensors.get(name)
    in_head, remedy = name.startswith("classifier."), _OTHER_NETWORK
    if tensor is None:
        if in_head:
            remedy = OWN_HEAD
        return f"{name} is missing from {what}{others}", remedy
    names = name if tensor.name == name else f"{name} ({tensor.name!r})"
    if tensor.shape != shape:
        if in_head and tensor.shape[1:] == shape[1:]:
            remedy = (
                f"use create_model(..., num_classes={tensor.shape[0]}), or "
                f"load_weights(..., classes=[...]) for {shape[0]} of these classes; "
                f"{OWN_HEAD}"
            )
        elif in_head:
            remedy = OWN_HEAD
        elif name == "features.conv0.weight" and _but_one(tensor.shape) == _but_one(
            shape
        ):
            remedy = (
                f"use create_model(..., in_channels={tensor.shape[1]}), or "
                "load_weights(..., adapt_input=True)"
            )
        text = f"{names} has shape {tensor.shape} in {what}, the network {shape}"
        return text, remedy
    if tensor.dtype not in FLOATS:
        text = f"{names} has dtype {tensor.dtype} in {what}, the network float32"
        return text, "convert it to float32"
    return None


def _but_one(shape):
    """The shape of a convolution's weight but for its input channels."""
    return shape[:1] + shape[2:]
