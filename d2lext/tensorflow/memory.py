"""Trades time for memory: recomputes a layer in the backward pass instead of storing it."""

import keras
import tensorflow as tf

from d2lext.tensorflow.speed import normalization

__all__ = ["recompute"]


def recompute(layer, *inputs, training=None):
    """`layer(*inputs)`, keeping only the inputs for the backward pass.

    There the layer, which must be built, runs again (Pleiss et al., 2017), with the same
    random numbers; its normalization statistics are updated once. It gets several inputs
    as a list, as in Keras. Pass the `training` of the calling layer: the backward pass
    does not know it.
    """

    def run(*inputs):
        merged = list(inputs) if inputs[1:] else inputs[0]
        return layer(merged, training=training)

    if not training:
        return run(*inputs)
    seeds = [(seed, tf.identity(seed.value)) for seed in _seeds(layer)]
    is_first = True

    def call(*inputs):
        nonlocal is_first
        if is_first:
            is_first = False
            return run(*inputs)
        # This scope discards assignments to variables. The trainer's own `fused` has
        # ended by the time gradients are computed.
        with keras.StatelessScope(seeds), normalization.fused(layer):
            return run(*inputs)

    return tf.recompute_grad(call)(*inputs)


def _seeds(layer):
    """The states of the random number generators (dropout's) in the layer."""
    trained = {id(variable) for variable in layer.weights}
    return [v for v in layer.variables if id(v) not in trained]
