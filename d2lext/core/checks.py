"""Checks a caller's arguments; each error states the rule, the value and the remedy."""

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np


def check_positive(**values: object) -> None:
    """Raise ValueError unless each value is an integer >= 1 or a sequence of such.

    >>> check_positive(growth_rate=0)
    Traceback (most recent call last):
    ValueError: growth_rate must be an integer >= 1, got 0
    """
    for name, value in values.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            good = len(value) > 0 and all(_is_positive(v) for v in value)
            rule = "hold at least one integer, each >= 1"
        else:
            good = _is_positive(value)
            rule = "be an integer >= 1"
        if not good:
            raise ValueError(f"{name} must {rule}, got {value!r}")


def check_share(**values: object) -> None:
    """Raise ValueError unless each value is a number > 0 and <= 1."""
    for name, value in values.items():
        if not isinstance(value, Real) or not 0 < float(value) <= 1:
            raise ValueError(f"{name} must be a number > 0 and <= 1, got {value!r}")


def check_choice(choices: Sequence[object], **values: object) -> None:
    """Raise ValueError unless each value is one of `choices`."""
    for name, value in values.items():
        if value not in choices:
            known = ", ".join(map(repr, choices[:-1]))
            raise ValueError(
                f"{name} must be {known} or {choices[-1]!r}, got {value!r}"
            )


def check_image_size(size: tuple[int, int], min_size: int, network: str) -> None:
    """Raise ValueError if images of `size` (height, width) are too small for a network.

    `min_size` is the smallest height and width, in pixels, that leave at least one
    pixel in front of the head; `network` is the network's name.
    """
    if min(size) < min_size:
        height, width = size
        raise ValueError(
            f"{network} needs images of at least {min_size}x{min_size} pixels, got "
            f"{height}x{width}: enlarge them, for example with "
            f"FashionMNIST(resize=(96, 96)), or use fewer blocks"
        )


def check_images(X: object) -> None:
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


def _is_positive(value: object) -> bool:
    return (
        isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1
    )
