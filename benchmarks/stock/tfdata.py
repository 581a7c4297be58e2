"""d2l's data pipeline for TensorFlow and JAX."""

import tensorflow as tf


def batches(images, labels, batch_size, resize):
    """The data set as d2l makes it, from images (n, 28, 28) uint8 and their labels.

    It shuffles batches, not images, and buffers all of them, resized, before it yields
    the first.
    """
    X, y = tf.expand_dims(images, axis=3) / 255, tf.cast(labels, dtype="int32")
    data = tf.data.Dataset.from_tensor_slices((X, y)).batch(batch_size)
    data = data.map(lambda X, y: (tf.image.resize_with_pad(X, *resize), y))
    return data.shuffle(len(images))
