"""Turns a function into an equal one that runs faster.

`faster` leaves a model as its author wrote it and replaces operations in the traced
program with equivalent ones: those of `convolution`, `normalization` and `pooling`. It
leaves everything else alone, and convolutions on a GPU. There, the others spare a step of
the first chapter's network a quarter of its memory traffic, as XLA compiles it for an H200.
"""

import functools

import jax
import numpy as np
from flax import linen as nn
from jax import numpy as jnp
from jax.extend.core import Literal

from d2lext.jax.speed import normalization, pooling
from d2lext.jax.speed.convolution import conv_by_products
from d2lext.jax.speed.normalization import Joined


def faster(function, dtype=None):
    """`function` with equal values and, in reverse mode, equal gradients.

    For `model.apply` with all its arguments, which need not be arrays. A `dtype` such as
    jnp.bfloat16 applies to the inputs of convolutions; everything else, including
    parameters and statistics, keeps its type.
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
        with nn.intercept_methods(normalization.fused):
            program, shapes = jax.make_jaxpr(of_arrays, return_shape=True)(*arrays)
        results = _evaluate(program.jaxpr, program.consts, arrays, dtype, Joined())
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return fast


def _is_array(leaf):
    return isinstance(leaf, jax.Array | np.ndarray | np.generic)


def _evaluate(jaxpr, consts, args, dtype, joined):
    """The results of a program, with some equations replaced."""
    values = dict(zip(jaxpr.constvars + jaxpr.invars, [*consts, *args], strict=True))
    for eqn in jaxpr.eqns:
        given = [v.val if isinstance(v, Literal) else values[v] for v in eqn.invars]
        with eqn.ctx.manager:  # such as a precision set around the model's code
            results = _apply(eqn, given, dtype, joined)
        values.update(zip(eqn.outvars, results, strict=True))
    return [v.val if isinstance(v, Literal) else values[v] for v in jaxpr.outvars]


def _apply(eqn, given, dtype, joined):
    params, arrays = eqn.params, [v.aval for v in (*eqn.invars, *eqn.outvars)]
    is_float32 = all(getattr(a, "dtype", None) == jnp.float32 for a in arrays)
    match eqn.primitive.name:
        case "jit" | "pjit" | "closed_call":  # pjit before JAX 0.7
            inner = params.get("jaxpr") or params["call_jaxpr"]
            return _evaluate(inner.jaxpr, inner.consts, given, dtype, joined)
        case "checkpoint" | "remat2":
            options = {name: params[name] for name in ("policy", "prevent_cse")}

            def inner(*args):
                return _evaluate(params["jaxpr"], (), args, dtype, Joined())

            return jax.checkpoint(inner, **options)(*given)
        case "conv_general_dilated" if is_float32 and arrays[-1].size:
            return [conv_by_products(params, dtype)(*given)]
        case "reduce_window_max" if is_float32 and pooling.is_plain(params):
            return [pooling.max_pool(given[0], params)]
        case "concatenate" if is_float32 and params["dimension"] == given[0].ndim - 1:
            return [joined.join(given)]
        case "square" if is_float32:
            return [joined.square(given[0])]
        case "reduce_sum" if is_float32 and params["axes"] == (
            *range(given[0].ndim - 1),
        ):
            return [joined.sum(given[0])]
    # As in JAX's own interpreter: functions within an equation become arguments.
    bound = eqn.primitive.get_bind_params(params)  # before JAX 0.9, apart from these
    functions, params = bound if isinstance(bound, tuple) else ((), bound)
    results = eqn.primitive.bind(*functions, *given, **params)
    return results if eqn.primitive.multiple_results else [results]
