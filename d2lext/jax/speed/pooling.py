"""Max-pooling whose gradient a CPU computes quickly: XLA's is a scatter."""

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp


def is_plain(params):
    """Whether XLA's `params` are those of pooling without dilation."""
    return {*params["base_dilation"], *params["window_dilation"]} == {1}


def max_pool(X, params):
    """Max-pooling with XLA's `params`, one axis after another."""
    names = "window_dimensions", "window_strides", "padding"
    # The last axis first: of equal numbers, the first in reading order gets the gradient.
    for axis in reversed(range(X.ndim)):
        k, s, (lo, hi) = (params[name][axis] for name in names)
        if (k, s, lo, hi) != (1, 1, 0, 0):
            X = _max_along(axis, k, s, lo, hi)(X)
    return X


def _max_along(axis, k, s, lo, hi):
    def config(X, lo, hi, interior):
        return [(lo, hi, interior) if i == axis else (0, 0, 0) for i in range(X.ndim)]

    def largest(X):
        """The maxima, and the position in the window that each comes from."""
        X = lax.pad(X, np.array(-np.inf, X.dtype), config(X, lo, hi, 0))
        size = (X.shape[axis] - k) // s + 1
        taps = [
            lax.slice_in_dim(X, i, i + (size - 1) * s + 1, s, axis) for i in range(k)
        ]
        Y, place = taps[0], jnp.zeros(taps[0].shape, jnp.int8)
        for i, tap in enumerate(taps[1:], 1):
            place = jnp.where(tap > Y, jnp.int8(i), place)
            Y = jnp.maximum(Y, tap)
        return Y, place

    @jax.custom_vjp
    def pool(X):
        return largest(X)[0]

    def forward(X):
        Y, place = largest(X)
        return Y, (place, X.shape[axis])

    def backward(residuals, dY):
        place, size = residuals
        # It is read at each position of the window, and must not be recomputed each time.
        dY, dX = lax.optimization_barrier(dY), 0
        for i in range(k):
            # Each gradient at its position i of the window, `s` from the next.
            end = size - (i - lo + (dY.shape[axis] - 1) * s + 1)
            chosen = jnp.where(place == i, dY, 0)
            dX += lax.pad(
                chosen, np.zeros((), dY.dtype), config(dY, i - lo, end, s - 1)
            )
        return (dX,)

    pool.defvjp(forward, backward)
    return pool
