"""A convolution and its gradients as matrix products, which a CPU computes quickly.

XLA's own convolutions reach about a third of a CPU's peak rate, and it computes the
gradient of the weights as a convolution with a window as large as the image. Matrix
products reach most of the peak, in bfloat16 too if the processor supports it. The price
is patches: copies of an array, one for each position of the window.

Images are (n, h, w, c) and weights (h, w, in, out), with any number of axes between.
"""

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jax.experimental import layout

# Before JAX 0.7 it had another name.
_Layout = getattr(layout, "DeviceLocalLayout", layout.Layout)


def conv_by_products(params, dtype):
    """The convolution with XLA's `params`, from float32 to float32.

    `dtype`, if given, is that of the factors in the products; sums are float32. On
    devices other than CPUs, and with groups or dilation, XLA convolves.
    """
    strides, padding = params["window_strides"], params["padding"]
    unit = set(strides) == {1}

    def low(array):
        return array if dtype is None else array.astype(dtype)

    def by_xla(X, W):
        return lax.conv_general_dilated_p.bind(X, W, **params)

    def choose(products, otherwise, *arrays):
        """The result of one of the two functions, in float32."""
        if not _is_plain(params):
            return otherwise(*arrays).astype(jnp.float32)
        return lax.platform_dependent(
            *arrays,
            cpu=lambda *arrays: products(*arrays).astype(jnp.float32),
            default=lambda *arrays: otherwise(*arrays).astype(jnp.float32),
        )

    @jax.custom_vjp
    def conv(X, W):
        return forward(X, W)[0]

    def forward(X, W):
        X, W = low(X), low(W)
        Y = choose(lambda X, W: _correlate(X, W, strides, padding), by_xla, X, W)
        return Y, (X, W)

    def backward(inputs, dY):
        X, W = inputs
        window, dY = W.shape[:-2], low(dY)

        def dX_by_xla(dY, W):
            return jax.linear_transpose(lambda X: by_xla(X, W), X)(dY)[0]

        def dX_by_products(dY, W):
            turned = jnp.flip(W, range(len(window))).swapaxes(-1, -2)
            return _correlate(dY, turned, strides, _turned(window, padding))

        def dW_by_xla(X, dY):
            return jax.linear_transpose(lambda W: by_xla(X, W), W)(dY)[0]

        def dW_by_products(X, dY):
            return _weights_gradient(X, dY, W.shape, strides, padding)

        dX = choose(dX_by_products if unit else dX_by_xla, dX_by_xla, dY, W)
        return dX, choose(dW_by_products, dW_by_xla, X, dY)

    conv.defvjp(forward, backward)
    return conv


def _is_plain(params):
    """Whether it is (n, h, w, c) with (h, w, in, out), without groups or dilation."""
    d = params["dimension_numbers"]
    last = len(d.lhs_spec) - 1
    axes = tuple(range(1, last))
    return (
        (d.lhs_spec, d.out_spec) == ((0, last, *axes),) * 2
        and d.rhs_spec == (last, last - 1, *range(last - 1))
        and params["feature_group_count"] == params["batch_group_count"] == 1
        and set(params["lhs_dilation"]) | set(params["rhs_dilation"]) == {1}
    )


def _correlate(X, W, strides, padding):
    """The convolution of X (n, h, w, in) with W (h, w, in, out)."""
    *window, c_in, c_out = W.shape
    if c_out >= c_in or window[0] == 1 or set(strides) != {1}:
        P = _patches(X, window, strides, padding)
        return _dot(P, W.reshape(-1, c_out))
    # Fewer output than input channels: patches along the other axes only, and each one's
    # contribution to the k rows around it.
    k, (lo, hi) = window[0], padding[0]
    P = _patches(X, [1, *window[1:]], strides, [(0, 0), *padding[1:]])
    Z = _dot(P, jnp.moveaxis(W, 0, -2).reshape(P.shape[-1], -1))
    Z = Z.reshape(*Z.shape[:-1], k, c_out)
    zero, others = np.zeros((), Z.dtype), [(0, 0, 0)] * (Z.ndim - 3)
    return sum(
        lax.pad(Z[..., i, :], zero, [(0, 0, 0), (lo - i, hi - k + 1 + i, 0), *others])
        for i in range(k)
    )


def _weights_gradient(X, dY, shape, strides, padding):
    """dW of `shape` (h, w, in, out): one product of all patches with all pixels."""
    *window, c_in, c_out = shape
    if c_out < c_in and set(strides) == {1}:
        # X[y + i - p] * dY[y] is X[y] * dY[y - i + p]: patches of the smaller array.
        P = _patches(dY, window, strides, _turned(window, padding))
        dW = _summed_product(X, P).reshape(c_in, *window, c_out)
        return jnp.moveaxis(jnp.flip(dW, range(1, len(window) + 1)), 0, -2)
    P = _patches(X, window, strides, padding)
    return _summed_product(dY, P).T.reshape(shape)


def _turned(window, padding):
    """The padding for correlating a gradient with the rotated window."""
    return [
        (k - 1 - lo, k - 1 - hi) for k, (lo, hi) in zip(window, padding, strict=True)
    ]


def _summed_product(A, B):
    """A^T B of the last axes of A and B, summed over all the others."""
    A, B = (array.reshape(-1, array.shape[-1]) for array in (A, B))
    if A.dtype == jnp.float32:
        return lax.dot_general(A, B, (((0,), (0,)), ((), ())))
    # Otherwise A would be computed in the order of its transpose, which is slower.
    return _dot(lax.optimization_barrier(A).T, B)


def _dot(A, B):
    """The product of the last axis of A with the matrix B, in float32."""

    def by_rows(matrix):
        # XLA multiplies bfloat16 only where rows are contiguous in memory.
        return layout.with_layout_constraint(matrix, _Layout(major_to_minor=(0, 1)))

    rows = A.reshape(-1, A.shape[-1])
    if A.dtype == jnp.float32:
        product = lax.dot(rows, B)
    else:
        rows, B = by_rows(rows), by_rows(B)
        product = by_rows(lax.dot(rows, B, preferred_element_type=jnp.float32))
    return product.reshape(*A.shape[:-1], B.shape[-1])


def _patches(X, window, strides, padding):
    """What each position of a window reads: (n, h, w, c) -> (n, h', w', window * c)."""
    dtype = X.dtype
    if dtype == jnp.bfloat16:  # which XLA would move as float32
        X = lax.bitcast_convert_type(X, jnp.uint16)
    for axis in reversed(range(1, X.ndim - 1)):
        X = _taps(X, axis, window[axis - 1], strides[axis - 1], *padding[axis - 1])
    return X if X.dtype == dtype else lax.bitcast_convert_type(X, dtype)


def _taps(X, axis, k, s, lo, hi):
    """What each position of a window of `k` along `axis` reads, as channels."""
    X = lax.slice_in_dim(X, max(0, -lo), X.shape[axis] - max(0, -hi), axis=axis)
    # By concatenation: a pad would be fused into each slice, and recomputed every time.
    shapes = ((*X.shape[:axis], max(0, n), *X.shape[axis + 1 :]) for n in (lo, hi))
    before, after = (jnp.zeros(shape, X.dtype) for shape in shapes)
    X = jnp.concatenate((before, X, after), axis)
    last = (X.shape[axis] - k) // s * s  # the start of the last window
    taps = [lax.slice_in_dim(X, i, i + last + 1, s, axis) for i in range(k)]
    return jnp.concatenate(taps, -1)
