"""How many values batch normalization averages: a single one leaves nothing to learn."""

from flax import linen as nn

from d2lext.jax.variables import trace


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

    trace(model, inputs, note)
    return numbers
