"""The same function with gradients that a CPU computes quickly.

XLA turns some gradients into programs that are slow on a CPU: that of a convolution's
weights becomes a convolution with a window as large as the image, that of max-pooling
a scatter. `faster` leaves a model as its author wrote it, and replaces these
operations in the traced program by others of equal value. What it does not know it
leaves alone. Memory and the choice of devices are others' work.
"""

import functools
import itertools

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jax.extend.core import Literal


def faster(function, dtype=None):
    """`function` of arrays with equal values and, in reverse mode, equal gradients.

    For `model.apply` with all its arguments; those that are not arrays stay what they
    are. Of a `dtype` such as jnp.bfloat16 are then the inputs of convolutions, and
    all else, parameters and statistics among it, keeps its own.
    """

    @functools.wraps(function)
    def fast(*args, **kwargs):
        leaves, tree = jax.tree.flatten((args, kwargs))
        where = [i for i, leaf in enumerate(leaves) if _is_array(leaf)]

        def of_arrays(*arrays):
            given = leaves.copy()
            for i, array in zip(where, arrays, strict=True):
                given[i] = array
            args, kwargs = jax.tree.unflatten(tree, given)
            return function(*args, **kwargs)

        arrays = [leaves[i] for i in where]
        program, shapes = jax.make_jaxpr(of_arrays, return_shape=True)(*arrays)
        results = _evaluate(program.jaxpr, program.consts, arrays, dtype)
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return fast


def _is_array(leaf):
    return isinstance(leaf, jax.Array | np.ndarray | np.generic)


def _evaluate(jaxpr, consts, args, dtype):
    """The results of a program: each equation as it stands, or its replacement."""
    values = dict(zip(jaxpr.constvars + jaxpr.invars, [*consts, *args], strict=True))
    for eqn in jaxpr.eqns:
        given = [v.val if isinstance(v, Literal) else values[v] for v in eqn.invars]
        with eqn.ctx.manager:  # such as a precision set around the model's code
            results = _apply(eqn, given, dtype)
        values.update(zip(eqn.outvars, results, strict=True))
    return [v.val if isinstance(v, Literal) else values[v] for v in jaxpr.outvars]


def _apply(eqn, given, dtype):
    params = eqn.params
    match eqn.primitive.name:
        case "jit" | "closed_call":
            inner = params.get("jaxpr") or params["call_jaxpr"]
            return _evaluate(inner.jaxpr, inner.consts, given, dtype)
        case "checkpoint" | "remat2":
            options = {name: params[name] for name in ("policy", "prevent_cse")}
            inner = functools.partial(_evaluate, params["jaxpr"], (), dtype=dtype)
            return jax.checkpoint(lambda *args: inner(args), **options)(*given)
        case "conv_general_dilated" if eqn.outvars[0].aval.dtype == jnp.float32:
            return [_conv(params, dtype)(*given)]
        case "reduce_window_max" if _is_pooling(params, eqn.outvars[0].aval):
            return [_max_pool(given[0], params)]
    # As JAX's own interpreter has it: functions within an equation become arguments.
    params = eqn.primitive.get_bind_params(params)
    results = eqn.primitive.bind(*given, **params)
    return results if eqn.primitive.multiple_results else [results]


def _conv(params, dtype):
    """A convolution whose gradient for its weights is, on a CPU, a matrix product."""

    def low(array):
        return array if dtype is None else array.astype(dtype)

    def plain(X, W):
        return lax.conv_general_dilated_p.bind(X, W, **params)

    @jax.custom_vjp
    def conv(X, W):
        return plain(low(X), low(W)).astype(X.dtype)

    def backward(inputs, dY):
        X, W = inputs
        dX = jax.linear_transpose(lambda X: plain(X, low(W)), low(X))(low(dY))[0]

        def by_conv(X, dY):
            dW = jax.linear_transpose(lambda W: plain(X, W), low(W))(dY)[0]
            return dW.astype(W.dtype)

        def by_dot(X, dY):
            return _weights_gradient(X, dY, W.shape, params)

        if _is_plain_conv(params):
            by_platform = functools.partial(lax.platform_dependent, cpu=by_dot)
        else:
            by_platform = lambda X, dY, default: default(X, dY)  # noqa: E731  as the other
        dW = by_platform(low(X), low(dY), default=by_conv)
        return dX.astype(X.dtype), dW

    conv.defvjp(lambda X, W: (conv(X, W), (X, W)), backward)
    return conv


def _is_plain_conv(params):
    """Is it of (n, h, w, c) with (h, w, in, out), without groups or holes?"""
    d = params["dimension_numbers"]
    last = len(d.lhs_spec) - 1
    window = tuple(range(1, last))
    return (
        (d.lhs_spec, d.out_spec) == ((0, last, *window),) * 2
        and d.rhs_spec == (last, last - 1, *range(last - 1))
        and params["feature_group_count"] == params["batch_group_count"] == 1
        and set(params["lhs_dilation"]) | set(params["rhs_dilation"]) == {1}
        and params["preferred_element_type"] in (None, jnp.float32)
    )


def _weights_gradient(X, dY, shape, params):
    """dW of `shape` (h, w, in, out): one product of all patches with all pixels."""
    *window, c_in, c_out = shape
    strides, padding = params["window_strides"], params["padding"]
    if c_out < c_in and set(strides) == {1}:
        # X[y + i - p] * dY[y] is X[y] * dY[y - i + p]: patches of the smaller array.
        padding = [
            (k - 1 - lo, x - y + lo)
            for k, (lo, _), x, y in zip(
                window, padding, X.shape[1:-1], dY.shape[1:-1], strict=True
            )
        ]
        P = _patches(dY, window, strides, padding, X.shape[1:-1])
        dW = _product(X.reshape(-1, c_in), P).reshape(c_in, *window, c_out)
        return jnp.moveaxis(jnp.flip(dW, range(1, len(window) + 1)), 0, -2)
    P = _patches(X, window, strides, padding, dY.shape[1:-1])
    return _product(P, dY.reshape(-1, c_out)).reshape(shape)


def _product(A, B):
    """A^T B, summed in float32."""
    return lax.dot_general(
        A, B, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32
    )


def _patches(X, window, strides, padding, size):
    """What each position of a window reads, a row: (n * h * w, window * c)."""
    # By concatenation: fused with each of the slices, a pad is computed for every one.
    for axis, (lo, hi) in enumerate(padding, 1):
        X = lax.slice_in_dim(X, max(0, -lo), X.shape[axis] - max(0, -hi), axis=axis)
        amounts = max(0, lo), max(0, hi)
        shapes = ((*X.shape[:axis], n, *X.shape[axis + 1 :]) for n in amounts)
        before, after = (jnp.zeros(shape, X.dtype) for shape in shapes)
        X = jnp.concatenate((before, X, after), axis)
    taps = []
    for start in itertools.product(*map(range, window)):
        stop = [
            i + (n - 1) * s + 1 for i, n, s in zip(start, size, strides, strict=True)
        ]
        taps.append(
            lax.slice(X, (0, *start, 0), (len(X), *stop, X.shape[-1]), (1, *strides, 1))
        )
    return jnp.concatenate(taps, -1).reshape(-1, len(taps) * X.shape[-1])


def _is_pooling(params, result):
    dilations = {*params["base_dilation"], *params["window_dilation"]}
    return dilations == {1} and result.dtype == jnp.float32


def _max_pool(X, params):
    """Max-pooling, one axis after the other."""
    names = "window_dimensions", "window_strides", "padding"
    # The last axis first: of equal numbers the first in reading order has the gradient.
    for axis in reversed(range(X.ndim)):
        k, s, (lo, hi) = (params[name][axis] for name in names)
        if (k, s, lo, hi) != (1, 1, 0, 0):
            X = _max_along(axis, k, s, lo, hi)(X)
    return X


def _max_along(axis, k, s, lo, hi):
    def config(X, lo, hi, interior):
        return [(lo, hi, interior) if i == axis else (0, 0, 0) for i in range(X.ndim)]

    def largest(X):
        """The maxima, and which place in the window each comes from."""
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
        dX = 0
        for i in range(k):
            # Each gradient at its place i of the window, `s` apart from the next.
            end = size - (i - lo + (dY.shape[axis] - 1) * s + 1)
            chosen = jnp.where(place == i, dY, 0)
            dX += lax.pad(
                chosen, np.zeros((), dY.dtype), config(dY, i - lo, end, s - 1)
            )
        return (dX,)

    pool.defvjp(forward, backward)
    return pool
