"""What identifies a training beside its hyperparameters: layers, and a fresh optimiser."""

import dataclasses

from d2lext.jax.variables import trace

_OF_FLAX = ("name", "parent")


def layers(model, inputs):
    """The class and the fields of each layer of a built model."""
    found = {}

    def note(call, args, kwargs, context):
        layer = context.module
        found["layers." + ".".join(layer.path)] = type(layer), fields(layer)
        return call(*args, **kwargs)

    trace(model, inputs, note)
    return found


def optimizer(optim):
    """The class of an optimiser, and its two functions, in which its options are."""
    return {"optimizer": type(optim).__name__, "optimizer.functions": list(optim)}


def fields(module):
    """A module's fields, without those that Flax gives every module."""
    names = [f.name for f in dataclasses.fields(module) if f.init]
    return {n: getattr(module, n) for n in names if n not in _OF_FLAX}
