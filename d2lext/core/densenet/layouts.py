"""The two layouts of weights: the canonical one, (out, in, h, w), and (h, w, in, out).

JAX and TensorFlow use the second. Linear layers are (out, in) and (in, out); arrays with
one axis are the same in both.
"""

import numpy as np


def hwio_to_oihw(array: np.ndarray) -> np.ndarray:
    """A view of weights (h, w, in, out) as (out, in, h, w)."""
    return array if array.ndim == 1 else np.moveaxis(array, (-1, -2), (0, 1))


def oihw_to_hwio(array: np.ndarray) -> np.ndarray:
    """A view of weights (out, in, h, w) as (h, w, in, out)."""
    return array if array.ndim == 1 else np.moveaxis(array, (0, 1), (-1, -2))
