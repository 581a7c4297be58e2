"""Memory for time: what a layer computes is recomputed for the backward pass, not kept."""

import keras
import tensorflow as tf

from d2lext.tensorflow.speed import normalization

__all__ = ["recompute"]


def recompute(layer, *inputs, training=None):
    """`layer(*inputs)`, of which only the inputs are kept for the backward pass.

    There the layer, which must be built, runs again (Pleiss et al., 2017), with the same
    random numbers; the statistics of its normalizations are updated once. Several inputs
    reach it as a list, as in Keras. Pass on the `training` of the calling layer: the
    backward pass has none.
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
        # This scope discards what is assigned to variables. The trainer's fused
        # normalization has ended when gradients are taken.
        with keras.StatelessScope(seeds), normalization.fused(layer):
            return run(*inputs)

    return tf.recompute_grad(call)(*inputs)


def _seeds(layer):
    """The states of the random number generators (dropout's) in the layer."""
    trained = {id(variable) for variable in layer.weights}
    return [v for v in layer.variables if id(v) not in trained]
