"""What Keras' layers add to a loss: regularisers of weights and outputs, and `add_loss`."""

import contextlib
import functools

import tensorflow as tf


@contextlib.contextmanager
def collected(model):
    """Within, a model computes its loss; the function given then returns what to add.

    These are the scalars in `model.losses`, without those that the model has read itself:
    it may add `self.net.losses`, or those of some layers, to its loss.
    """
    layers = model._flatten_layers()  # Keras has no public way to visit each
    read = set()  # by id: layers with losses of their own, variables with regularisers

    def of_outputs(layer):
        read.add(id(layer))
        return type(layer)._get_own_losses(layer)

    def of_weights(layer):
        read.update(map(id, layer.trainable_weights))
        return type(layer)._get_regularization_losses(layer)

    def unread():
        unseen = [layer for layer in layers if id(layer) not in read]
        losses = [loss for layer in unseen for loss in layer._get_own_losses()]
        for var in model.trainable_weights:
            if var.regularizer is not None and id(var) not in read:
                losses.append(var.regularizer(var))
        return [tf.cast(loss, tf.float32) for loss in losses]  # some are bfloat16

    model._clear_losses()  # of earlier forward passes; Keras does so in the next one
    watched = {"_get_own_losses": of_outputs, "_get_regularization_losses": of_weights}
    try:
        for layer in layers:
            for name, function in watched.items():
                # Bypasses Keras' tracking of attributes.
                vars(layer)[name] = functools.partial(function, layer)
        yield unread
    finally:
        for layer in layers:
            for name in watched:
                vars(layer).pop(name, None)
