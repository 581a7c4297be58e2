"""What identifies a training beside its hyperparameters: layers, and a fresh optimiser."""

import dataclasses

import jax
from flax import linen as nn

_OF_FLAX = ("name", "parent")


def layers(model, inputs):
    """The class and the fields of each layer of a built model."""
    found = {}

    def note(call, args, kwargs, context):
        layer = context.module
        found["layers." + ".".join(layer.path)] = type(layer).__name__, fields(layer)
        return call(*args, **kwargs)

    def apply(variables, key, *inputs):
        options = {"mutable": True, "rngs": {"dropout": key}}
        return model.apply(variables, *inputs, **options)

    with nn.intercept_methods(note):
        # Only shapes: no arithmetic.
        jax.eval_shape(apply, model.variables, jax.random.key(0), *inputs)
    return found


def optimizer(optim):
    """The class of an optimiser, and its two functions, in which its options are."""
    return {"optimizer": type(optim).__name__, "optimizer.functions": list(optim)}


def fields(module):
    """A module's fields, without those that Flax gives every module."""
    names = [f.name for f in dataclasses.fields(module) if f.init]
    return {n: getattr(module, n) for n in names if n not in _OF_FLAX}
