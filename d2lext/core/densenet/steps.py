"""What goes into a network and what a training step computes, as NumPy arrays."""

from typing import NamedTuple

import numpy as np


class Step(NamedTuple):
    """One training step by canonical names and in canonical layouts.

    `statistics` are BatchNorm's running means and variances after it, as the framework
    keeps them.
    """

    logits: np.ndarray
    loss: float
    gradients: dict
    statistics: dict


def check_images(X):
    """Raise TypeError or ValueError unless X is a float32 array (n, c, h, w)."""
    if not isinstance(X, np.ndarray):
        raise TypeError(
            f"X must be a NumPy array (n, c, h, w), got {type(X).__name__}: convert "
            "it, or call the model itself"
        )
    if X.ndim != 4 or 0 in X.shape:
        raise ValueError(
            f"X must have the shape (n, c, h, w), got {X.shape}: one image needs a "
            "batch of one, X[None]"
        )
    if X.dtype != np.float32:
        raise TypeError(
            f"X must be float32, got {X.dtype}: convert it with X.astype('float32')"
        )
    if not X.flags.c_contiguous:
        raise ValueError(
            f"X must be contiguous, got strides {X.strides} for the shape {X.shape}: "
            "copy it with numpy.ascontiguousarray(X)"
        )
