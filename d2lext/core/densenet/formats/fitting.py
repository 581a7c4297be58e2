"""Adapts a file's tensors to a network with other inputs or with fewer classes."""

import math
import operator
from collections.abc import Mapping, Sequence

import numpy as np

from d2lext.core.densenet.formats.tensors import Tensor, WeightFileError, damaged

_STEM = "features.conv0.weight"


def fit(
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    adapt_input: bool,
    classes: Sequence[int] | None,
    file_size: int,
) -> dict[str, Tensor]:
    """The `tensors`, those of the first convolution and the classifier changed.

    What they are computed from is no larger than the file of `file_size` bytes.
    """
    fitted = dict(tensors)
    stem = fitted.get(_STEM)
    if adapt_input and stem and len(stem.shape) == 4 and stem.shape[1]:
        channels = shapes[_STEM][1]
        _check_size(stem, file_size)
        fitted[_STEM] = stem.map(
            (stem.shape[0], channels, *stem.shape[2:]),
            lambda weight: with_channels(weight, channels),
        )
    if classes is not None:
        rows = [_row(row) for row in classes]
        for name in "classifier.weight", "classifier.bias":
            if (tensor := fitted.get(name)) and tensor.shape:
                _check_size(tensor, file_size)
                _check_rows(rows, tensor.shape[0])
                shape = (len(rows), *tensor.shape[1:])
                fitted[name] = tensor.map(shape, lambda a: a[rows])
    return fitted


def with_channels(weight: np.ndarray, channels: int) -> np.ndarray:
    """A first convolution's weight (out, in, h, w) for another number of channels.

    For one channel it is the sum: a grey image gives what it gives as red, green and
    blue. For more, the channels are repeated in turn and scaled, so that an image whose
    channels repeat gives the same as before.
    """
    before = weight.shape[1]
    if channels == before:
        return weight
    if channels == 1:
        return weight.sum(axis=1, keepdims=True)
    repeated = weight[:, np.arange(channels) % before]
    return repeated * np.float32(before / channels)


def _row(row):
    """The number of a class as Python's; a mask, whose True would be 1, has none."""
    if isinstance(row, bool | np.bool_):
        raise WeightFileError(
            f"must be given numbers of classes, got {row}: use numpy.flatnonzero(classes)"
        )
    return operator.index(row)


def _check_size(tensor, file_size):
    if math.prod(tensor.shape) > file_size:
        raise damaged(f"{tensor.name} of shape {tensor.shape} is larger than the file")


def _check_rows(rows, count):
    for row in rows:
        if not 0 <= row < count:
            raise WeightFileError(
                f"must have the classes asked for, got {count} and no number {row}: "
                f"choose classes from 0 to {count - 1}"
            )
