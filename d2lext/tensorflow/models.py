"""Networks by name, their predictions, and what one training step computes."""

import tensorflow as tf

from d2lext.core import images
from d2lext.core.densenet import registry
from d2lext.core.densenet.parity import Step
from d2lext.core.densenet.weights import is_statistic
from d2lext.core.turns import turn
from d2lext.tensorflow.module import in_channels
from d2lext.tensorflow.settings import full_float32, ours
from d2lext.tensorflow.weights import (
    build_layers,
    check_built,
    named_tensors,
    set_weights,
    to_numpy,
)

__all__ = ["create_model", "predict", "examine"]


def create_model(name, *, seed=0, **options):
    """The network `name` of `list_models()`, built, with the weights of `seed`.

    `options`: arch, growth_rate, num_channels, bottleneck_size, compression, dropout,
    memory_efficient, num_classes, in_channels, and those of training; NumPy's numbers
    will do. The weights are equal in every framework.
    """
    from d2lext.tensorflow.family import DenseNetBC

    network = registry.architecture(name, **options)
    model = DenseNetBC(**registry.model_options(name, options))
    registry.set_later(model, options)
    size = network.min_image_size
    with ours():
        build_layers(model, network)
    model(tf.zeros((1, size, size, network.in_channels)))
    set_weights(model, registry.initial_weights(name, seed, options))
    return model


def predict(model, X, batch_size=128):
    """Logits (n, classes) of images X (n, c, h, w), both NumPy float32.

    Other floats are converted, and so are lists and tensors; uint8 is divided by 255, with
    a warning. The model runs in evaluation mode and does not change; several threads may
    predict with it, also between the steps of one that trains it.
    """
    X = images.as_images(X)
    check_built(model)
    images.check(model, X.shape, in_channels)

    def logits(part):
        return model(tf.constant(part.transpose(0, 2, 3, 1)), training=False)

    with turn(model, shared=True), full_float32:
        return images.in_batches(logits, X, batch_size)


def examine(model, X, y):
    """What a training step on images X (n, c, h, w) and labels y (n,) computes.

    X is as in `predict`. The model does not change.
    """
    X = images.as_images(X)
    tensors = named_tensors(model)
    images.check(model, X.shape, in_channels)
    y = images.as_labels(y, len(X), model.num_classes)
    params = {name: var for name, var in tensors.items() if var.trainable}
    statistics = {name: var for name, var in tensors.items() if is_statistic(name)}
    with turn(model), full_float32:
        # The seeds of dropout, too.
        before = [(var, var.numpy()) for var in model.variables if not var.trainable]
        model.training = True  # of the loss, too
        try:
            with tf.GradientTape() as tape:
                logits = model(tf.constant(X.transpose(0, 2, 3, 1)), training=True)
                loss = model.loss(logits, tf.constant(y))
            grads = tape.gradient(loss, list(params.values()))
            return Step(
                logits.numpy(),
                float(loss),
                {n: to_numpy(g) for n, g in zip(params, grads, strict=True)},
                {name: to_numpy(var) for name, var in statistics.items()},
            )
        finally:
            model.training = False
            for variable, value in before:
                variable.assign(value)
