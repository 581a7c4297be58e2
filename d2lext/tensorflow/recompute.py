"""Memory for time: what a layer computes inside is not kept for the backward pass."""

import keras
import tensorflow as tf

from d2lext.tensorflow.speed import normalization


def recompute(layer, *inputs, training=None):
    """`layer(*inputs)`, of which the inputs alone are kept for the backward pass.

    There the layer, built before, runs once more (Pleiss et al., 2017), with the random
    numbers of the first time; the statistics of its normalizations are updated once.
    Several inputs reach it as a list, which is Keras' way. `training` is that of the
    layer that calls this one: the backward pass has none.
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
        # What it assigns to variables in this scope, they do not become. The trainer's
        # fused normalization has ended when gradients are taken.
        with keras.StatelessScope(seeds), normalization.fused(layer):
            return run(*inputs)

    return tf.recompute_grad(call)(*inputs)


def _seeds(layer):
    """The states of the generators of random numbers, dropout's, in the layer."""
    trained = {id(variable) for variable in layer.weights}
    return [v for v in layer.variables if id(v) not in trained]
