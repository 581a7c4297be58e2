"""The variables of a Flax model, a dict of collections, of which training has its own copy.

A model's loss names two of them, the parameters and BatchNorm's statistics.
"""

import functools

import jax
from flax import linen as nn
from flax.core.scope import in_filter
from jax import numpy as jnp


def same(variables, others):
    """Whether two dicts have the same collections, the very objects."""
    return variables.keys() == others.keys() and all(
        variables[name] is others[name] for name in others
    )


def in_float32(array):
    """An array of half precision in float32; any other as it is."""
    is_half = getattr(array, "dtype", None) in (jnp.bfloat16, jnp.float16)
    return jnp.asarray(array, jnp.float32) if is_half else array


def trace(model, inputs, note):
    """Run a built model once as in training, through `note`, and without arithmetic.

    `inputs` is a tuple. Each method of a layer is called by `note`, an interceptor of Flax,
    on arrays that are shapes alone. The model does not change.
    """

    def apply(variables, key, *inputs):
        options = {"mutable": True, "rngs": {"dropout": key}}
        return model.apply(variables, *inputs, **options)

    with nn.intercept_methods(note):
        jax.eval_shape(apply, model.variables, jax.random.key(0), *inputs)


def with_others(apply):
    """`apply` that also takes, as `others`, collections which a loss does not name.

    A loss that makes one of them mutable passes it itself.
    """

    @functools.wraps(apply)
    def with_others(variables, *args, others=None, mutable=False, **kwargs):
        others = {n: c for n, c in (others or {}).items() if not in_filter(mutable, n)}
        return apply({**others, **variables}, *args, mutable=mutable, **kwargs)

    return with_others


def check_complete(before, after):
    """Raise ValueError if a step has made statistics that the model did not have."""
    has, needs = (len(jax.tree.leaves(tree)) for tree in (before, after))
    if has != needs:
        raise ValueError(
            f"the model's variables must hold all {needs} statistics in batch_stats, got "
            f"{has}: add those that belong to the weights, or begin with new ones by "
            "model.variables = {**model.init(key, X), 'params': params}"
        )
