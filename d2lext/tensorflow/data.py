"""Data sets as TensorFlow tensors."""

import tensorflow as tf

from d2lext.core import datamodule
from d2lext.core.datamodule import DataModule

__all__ = ["DataModule", "FashionMNIST"]


class FashionMNIST(datamodule.FashionMNIST):
    """Fashion-MNIST; minibatches are X (n, h, w, 1) float32 in [0, 1] and y (n,)."""

    def to_tensors(self, X, y):
        """Tensors from NumPy: X (n, 1, h, w) as (n, h, w, 1), y (n,) as int64."""
        return tf.constant(X.transpose(0, 2, 3, 1)), tf.constant(y)

    def visualize(self, batch, nrows=1, ncols=8, labels=()):
        """Show the first images of a minibatch with their labels."""
        # A tensor of TensorFlow has no method `squeeze`.
        return super().visualize([a.numpy() for a in batch], nrows, ncols, labels)
