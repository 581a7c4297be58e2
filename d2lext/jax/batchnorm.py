"""How many values batch normalization averages: a single one leaves nothing to learn."""

import jax
from flax import linen as nn


def values_per_channel(model, inputs):
    """The number of values per channel in each batch normalization, for training.

    `inputs` is a tuple. The model must be built, and does not change.
    """
    numbers = []

    def note(call, args, kwargs, context):
        layer = context.module
        if isinstance(layer, nn.BatchNorm) and context.method_name == "__call__":
            given = kwargs.get("use_running_average", layer.use_running_average)
            if not given:
                numbers.append(args[0].size // args[0].shape[layer.axis])
        return call(*args, **kwargs)

    def apply(variables, key, *inputs):
        options = {"mutable": True, "rngs": {"dropout": key}}
        return model.apply(variables, *inputs, **options)

    with nn.intercept_methods(note):
        # Only shapes: no arithmetic.
        jax.eval_shape(apply, model.variables, jax.random.key(0), *inputs)
    return numbers
