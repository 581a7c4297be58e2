"""Networks by name, their predictions, and what one training step computes."""

import numpy as np
import tensorflow as tf

from d2lext.core.checks import check_images
from d2lext.core.densenet import registry
from d2lext.core.densenet.parity import Step
from d2lext.tensorflow.weights import (
    build_layers,
    check_built,
    named_tensors,
    set_weights,
    to_numpy,
)

__all__ = ["create_model", "predict", "examine"]


def create_model(name, seed=0, **options):
    """The network `name` of `list_models()`, built, with the weights of `seed`.

    `options`: arch, growth_rate, num_channels, bottleneck_size, compression, dropout,
    memory_efficient, num_classes, in_channels, and those of training. The weights are
    equal in every framework.
    """
    from d2lext.tensorflow.family import DenseNetBC

    network = registry.architecture(name, **options)
    model = DenseNetBC(**registry.model_options(name, options))
    size = network.min_image_size
    build_layers(model, network)
    model(tf.zeros((1, size, size, network.in_channels)))
    set_weights(model, registry.initial_weights(name, seed, options))
    return model


def predict(model, X, batch_size=128):
    """Logits (n, classes) of images X (n, c, h, w), both NumPy float32.

    The model runs in evaluation mode and does not change.
    """
    check_images(X)
    check_built(model)
    X = X.transpose(0, 2, 3, 1)
    parts = (X[i : i + batch_size] for i in range(0, len(X), batch_size))
    return np.concatenate([model(tf.constant(p), training=False) for p in parts])


def examine(model, X, y):
    """What a training step on images X (n, c, h, w) and labels y (n,) computes.

    X and y are NumPy arrays. The model does not change.
    """
    check_images(X)
    tensors = named_tensors(model)
    params = {name: var for name, var in tensors.items() if var.trainable}
    before = {n: var.numpy() for n, var in tensors.items() if n not in params}
    try:
        with tf.GradientTape() as tape:
            logits = model(tf.constant(X.transpose(0, 2, 3, 1)), training=True)
            loss = model.loss(logits, tf.constant(y))
        grads = tape.gradient(loss, list(params.values()))
        return Step(
            logits.numpy(),
            float(loss),
            {n: to_numpy(g) for n, g in zip(params, grads, strict=True)},
            {name: to_numpy(tensors[name]) for name in before},
        )
    finally:
        for name, statistic in before.items():
            tensors[name].assign(statistic)
