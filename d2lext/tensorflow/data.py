"""Data sets as TensorFlow tensors."""

import contextlib

import tensorflow as tf

from d2lext.core.data import datamodule

__all__ = ["DataModule", "FashionMNIST"]


class DataModule(datamodule.DataModule):
    """Base of data sets: a loader for training and one for validation."""

    def take(self, tensor, indices):
        """The examples `indices`, a NumPy array, of a tensor."""
        return tf.gather(tensor, indices)  # tensor[indices] does not accept arrays


class FashionMNIST(datamodule.FashionMNIST, DataModule):
    """Fashion-MNIST; minibatches are X (n, h, w, 1) float32 in [0, 1] and y (n,)."""

    def to_tensors(self, X, y):
        """Tensors from NumPy: X (n, 1, h, w) uint8 to (n, h, w, 1) in [0, 1], y (n,)."""
        with self.device or contextlib.nullcontext():
            X = tf.constant(X.transpose(0, 2, 3, 1))
            return tf.cast(X, tf.float32) / 255, tf.constant(y)

    def visualize(self, batch, nrows=1, ncols=8, labels=()):
        """Show the first images of a minibatch with their labels."""
        # TensorFlow's tensors have no method `squeeze`.
        return super().visualize([a.numpy() for a in batch], nrows, ncols, labels)
