"""Batch normalization as one operation instead of Keras' twenty.

Keras composes it from sums, products and casts, each of which passes over the whole
tensor: more than half of a step's time on a CPU. The layers themselves do not change.
"""

import contextlib
import functools

import keras
import tensorflow as tf


@contextlib.contextmanager
def fused(model):
    """Let the batch normalization in `model` train with TensorFlow's fused operation.

    The same function up to rounding, with the same moving averages. This applies only to
    Keras' own layer, not to subclasses, on images with channels last.
    """
    layers = [layer for layer in model._flatten_layers() if _can_fuse(layer)]
    try:
        for layer in layers:
            # Bypasses Keras' tracking of attributes.
            vars(layer)["call"] = functools.partial(_call, layer, layer.call)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("call", None)


def _can_fuse(layer):
    return (
        type(layer) is keras.layers.BatchNormalization
        and "call" not in vars(layer)  # which an author has replaced
        and layer.axis in (-1, 3)
        and not (getattr(layer, "renorm", False) or layer.synchronized)
    )


def _call(layer, otherwise, inputs, training=None, mask=None):
    fusible = (
        training
        and layer.trainable
        and mask is None
        and inputs.shape.rank == 4
        and inputs.dtype in (tf.float32, tf.bfloat16)
    )
    if not fusible:
        return otherwise(inputs, training=training, mask=mask)
    gamma = layer.gamma.value if layer.scale else tf.ones(inputs.shape[-1])
    beta = layer.beta.value if layer.center else tf.zeros(inputs.shape[-1])
    Y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.cast(gamma, tf.float32),
        offset=tf.cast(beta, tf.float32),
        mean=tf.zeros(0),  # it keeps no averages
        variance=tf.zeros(0),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # It divides by n - 1, Keras by n.
    n = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
    variance *= (n - 1) / n
    momentum = layer.momentum
    for moving, new in (
        (layer.moving_mean, mean),
        (layer.moving_variance, variance),
    ):
        moving.assign(moving * momentum + new * (1 - momentum))
    return tf.cast(Y, layer.compute_dtype)
