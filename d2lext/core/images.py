"""What images and labels a network takes; errors state the rule, the value, the remedy.

Images are (n, c, h, w), in JAX and TensorFlow (n, h, w, c).
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from d2lext.core.checks import check_positive

_MOST_CHANNELS = 4  # of a photo; its sides have more pixels


def check(
    model: Any,
    shape: Sequence[Any],
    in_channels: Callable[[Any], int | None],
    channels_last: bool = False,
) -> None:
    """Raise ValueError unless the network `model` takes images of `shape`.

    A model without `min_image_size` takes anything. `in_channels(model)` is the number of
    channels that the network was built for, None before its first input.
    """
    min_size = getattr(model, "min_image_size", 0)
    if not min_size or len(shape) != 4 or None in shape[1:]:  # None: of a graph
        return
    network, expected = type(model).__name__, in_channels(model)
    first, middle, last = shape[1:]
    if channels_last:
        size, channels, otherwise = (first, middle), last, first
        layout, other, axes = "(n, h, w, c)", "(n, c, h, w)", (0, 2, 3, 1)
    else:
        size, channels, otherwise = (middle, last), first, last
        layout, other, axes = "(n, c, h, w)", "(n, h, w, c)", (0, 3, 1, 2)
    if expected:
        is_other = channels != expected == otherwise
    else:
        is_other = otherwise <= _MOST_CHANNELS < min(middle, channels)
    if is_other:
        raise ValueError(
            f"{network} takes images {layout}, got {tuple(shape)}, which looks like "
            f"{other}: put the axes in the order {axes} by transposing"
        )
    if expected and channels != expected:
        raise ValueError(
            f"{network} was built for images {layout} with c = {expected}, got "
            f"{tuple(shape)}: convert the images, or build a network for them, for "
            f"example with create_model(..., in_channels={channels})"
        )
    if min(size) < min_size:
        raise ValueError(
            f"{network} needs images of at least {min_size}x{min_size} pixels, got "
            f"{size[0]}x{size[1]}: enlarge them, for example with "
            f"FashionMNIST(resize=(96, 96)), use fewer blocks, or set min_image_size "
            f"in a class whose stem is another"
        )


def as_images(X: Any) -> np.ndarray:
    """Images (n, c, h, w) as a contiguous float32 array, from an array, tensor or list.

    Pixels in uint8 are divided by 255, with a warning. Raises TypeError or ValueError for
    what holds no images, and for NaN and infinity, which some layers turn into numbers.
    """
    X = _to_numpy(X, "X")
    if X.ndim != 4 or 0 in X.shape[1:]:
        raise ValueError(
            f"X must have the shape (n, c, h, w), got {X.shape}: one image needs a "
            "batch of one, X[None]"
        )
    if X.dtype == np.uint8:
        warnings.warn(
            "X is uint8 and divided by 255, as FashionMNIST's images are: pass float32 "
            "if the network was trained on another scale",
            stacklevel=3,  # the line that calls `predict`
        )
        return X.astype(np.float32, order="C") / np.float32(255)
    if X.dtype.kind not in "fb" and X.dtype.name != "bfloat16":
        raise TypeError(
            "X must be float32 on the scale of the training, or uint8, got "
            f"{X.dtype}: convert it, for example with X.astype('float32') / 255"
        )
    with np.errstate(over="ignore"):  # it becomes an infinity, which is refused
        X = np.ascontiguousarray(X, np.float32)
    bad = np.flatnonzero(~np.isfinite(X).all(axis=(1, 2, 3)))
    if len(bad):
        raise ValueError(
            f"X must hold finite float32 numbers, got NaN or infinity in {len(bad)} of "
            f"{len(X)} images, first in X[{bad[0]}]: repair or remove them"
        )
    return X


def as_labels(y: Any, num_images: int, num_classes: int) -> np.ndarray:
    """Labels (n,) as an int64 array, from an array, tensor or list.

    Raises TypeError or ValueError unless there is one for each image, from 0 to
    `num_classes` - 1.
    """
    y = _to_numpy(y, "y")
    if y.shape != (num_images,) or num_images == 0:
        raise ValueError(
            f"y must hold one label for each of at least one image, got {y.shape} for "
            f"{num_images} images: one-hot labels become numbers by y.argmax(axis=1)"
        )
    if y.dtype.kind not in "biuf" or (y.dtype.kind == "f" and (y % 1 != 0).any()):
        raise TypeError(
            f"y must hold the numbers of classes, integers, got {y.dtype} that are none: "
            "number the classes"
        )
    if y.min() < 0 or y.max() >= num_classes:
        raise ValueError(
            f"y must hold labels from 0 to {num_classes - 1}, got {y.min()} to "
            f"{y.max()}: number the classes from 0, or build a network with more"
        )
    return y.astype(np.int64)


def in_batches(
    logits: Callable[[np.ndarray], Any], X: np.ndarray, batch_size: int
) -> np.ndarray:
    """What `logits` gives for at most `batch_size` images at a time, as one array."""
    check_positive(batch_size=batch_size)
    if not len(X):  # what an image gives tells the number of classes
        return np.asarray(logits(np.zeros((1, *X.shape[1:]), X.dtype)))[:0]
    parts = (X[i : i + batch_size] for i in range(0, len(X), batch_size))
    return np.concatenate([logits(part) for part in parts])


def _to_numpy(array, name):
    """A NumPy array of any framework's tensor, or of nested lists."""
    if np.ma.is_masked(array):  # NumPy would take what is behind the mask
        raise ValueError(
            f"{name} must hold a number everywhere, got {np.ma.count_masked(array)} "
            f"masked ones: fill them, for example with {name}.filled(0)"
        )
    if hasattr(array, "asnumpy"):  # MXNet's
        return array.asnumpy()
    if hasattr(array, "detach"):  # PyTorch's: off its graph and GPU
        array = array.detach().cpu()
        # NumPy has no bfloat16.
        array = array.float() if array.is_floating_point() else array
    try:
        array = np.asarray(array)
    except ValueError as error:
        raise ValueError(f"{name} must be an array: {error}") from None
    if array.dtype.kind in "OUSMm":
        raise TypeError(
            f"{name} must be an array of numbers, got {type(array.item(0)).__name__}: "
            "convert it, and pass the model before it"
        )
    return array
