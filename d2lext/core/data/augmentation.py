"""Random changes of training images, drawn by NumPy: the same pixels in every framework.

Each is a function of images X (n, c, h, w), their labels y (n,) and a generator of random
numbers, which returns new X and y. The pixels are bytes, or float32 from 0 to 255.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from d2lext.core.checks import check_integer, check_positive, is_number

Augment = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple]


def augmented(
    X: np.ndarray, y: np.ndarray, augment: Iterable[Augment], key: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """A batch after each of the changes, which draw from generators of their own.

    With the `key` of a batch, the draws of each depend on its place alone. X becomes
    float32 in [0, 1] here: a framework may multiply by the inverse of 255 instead.
    """
    for place, change in enumerate(augment):
        X, y = change(X, y, np.random.Generator(np.random.PCG64([*key, place])))
    return X.astype(np.float32) / np.float32(255), y


@dataclass(frozen=True)
class RandomShift:
    """Up to `max_shift` pixels in each direction, filled with black.

    The same as a random crop of the padded image (He et al., 2016, Section 4.2).
    """

    max_shift: int

    def __post_init__(self) -> None:
        check_integer(0, max_shift=self.max_shift)

    def __call__(
        self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        most, number = self.max_shift, len(X)
        padded = np.pad(X, ((0, 0), (0, 0), (most, most), (most, most)))
        crops = np.lib.stride_tricks.sliding_window_view(padded, X.shape[2:], (2, 3))
        top, left = rng.integers(2 * most + 1, size=(2, number))
        return crops[np.arange(number), :, top, left], y  # (n, c, h, w)


@dataclass(frozen=True)
class RandomFlip:
    """Left becomes right with probability `p`."""

    p: float = 0.5

    def __post_init__(self) -> None:
        _check_probability(self.p)

    def __call__(
        self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        is_flipped = rng.random(len(X)) < self.p
        return np.where(is_flipped[:, None, None, None], X[..., ::-1], X), y


@dataclass(frozen=True)
class RandomErasing:
    """A rectangle becomes grey or noise with probability `p` (Zhong et al., 2020).

    The arguments are torchvision's. The rectangle has a share of the area within `scale`,
    and a ratio of height to width within `ratio`; it ends where the image does. `value` is
    its grey level in [0, 1], or "random" for a grey level of each pixel.
    """

    p: float = 0.5
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    value: float | str = 0

    def __post_init__(self) -> None:
        _check_probability(self.p)
        for name, most in (("scale", 1), ("ratio", np.inf)):
            bounds = tuple(getattr(self, name))
            is_pair = len(bounds) == 2 and all(map(is_number, bounds))
            if not is_pair or not 0 < bounds[0] <= bounds[1] <= most:
                raise ValueError(
                    f"{name} must be two numbers, the smallest and the largest, > 0"
                    f"{' and <= 1' * (most == 1)}, got {bounds}: pass, for example, "
                    f"{getattr(type(self), name)}"
                )
            object.__setattr__(self, name, bounds)
        value: Any = self.value
        is_grey = is_number(value) and 0 <= value <= 1
        if not is_grey and value != "random":
            raise ValueError(
                "value must be a grey level >= 0 and <= 1, or 'random', got "
                f"{value!r}: divide levels of bytes by 255"
            )

    def __call__(
        self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        number, size = len(X), X.shape[2:]
        is_erased = rng.random(number) < self.p
        area = math.prod(size) * rng.uniform(*self.scale, number)
        low, high = map(math.log, self.ratio)
        root = np.exp(rng.uniform(low, high, number) / 2)
        height, width = np.sqrt(area) * root, np.sqrt(area) / root
        rows = _within(height, size[0], rng)[:, None, :, None]
        columns = _within(width, size[1], rng)[:, None, None, :]
        inside = rows & columns & is_erased[:, None, None, None]
        if self.value == "random":
            level: Any = rng.integers(256, size=X.shape)
        else:
            level = round(255 * float(self.value))
        return np.where(inside, level, X).astype(X.dtype), y


@dataclass(frozen=True)
class MixUp:
    """Each image is mixed with another one of the batch, and so are the labels.

    The share of the first, one for the batch, is from Beta(alpha, alpha) (Zhang et al.,
    2018). Labels become rows of probabilities (n, num_classes), float32.
    """

    alpha: float
    num_classes: int = 10

    def __post_init__(self) -> None:
        check_positive(num_classes=self.num_classes)
        if not is_number(self.alpha) or not 0 < self.alpha < np.inf:
            raise ValueError(
                f"alpha must be a finite number > 0, got {self.alpha!r}: pass, for "
                "example, 0.2, or leave MixUp out"
            )

    def __call__(
        self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        share = np.float32(rng.beta(self.alpha, self.alpha))
        others, rest = rng.permutation(len(X)), np.float32(1) - share
        X, rows = X.astype(np.float32), self._rows(y)
        return share * X + rest * X[others], share * rows + rest * rows[others]

    def _rows(self, y: np.ndarray) -> np.ndarray:
        if y.ndim > 1:  # mixed already
            return y
        if len(y) and not 0 <= y.min() <= y.max() < self.num_classes:
            raise ValueError(
                f"MixUp must know all classes, got a label {y.max()} with num_classes="
                f"{self.num_classes}: pass their number as num_classes"
            )
        return np.eye(self.num_classes, dtype=np.float32)[y]


def _check_probability(p: Any) -> None:
    if not is_number(p) or not 0 <= p <= 1:
        raise ValueError(f"p must be a probability >= 0 and <= 1, got {p!r}")


def _within(side: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """(n, size): whether each pixel of an axis is within a random interval of it."""
    length = np.rint(side).astype(int).clip(1, size)
    first = rng.integers(size - length + 1)
    places = np.arange(size)
    return (places >= first[:, None]) & (places < (first + length)[:, None])
