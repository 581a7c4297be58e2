"""Data sets as TensorFlow tensors."""

import tensorflow as tf

from d2lext.core.data import datamodule
from d2lext.tensorflow import accelerators

__all__ = ["DataModule", "FashionMNIST"]


class DataModule(datamodule.DataModule):
    """Base of data sets: a loader for training and one for validation."""

    def take(self, tensor, indices):
        """The examples `indices`, a NumPy array, of a tensor."""
        return tf.gather(tensor, indices)  # tensor[indices] does not accept arrays


class FashionMNIST(datamodule.FashionMNIST, DataModule):
    """Fashion-MNIST; minibatches are X (n, h, w, 1) float32 in [0, 1] and y (n,)."""

    def to_tensors(self, X, y):
        """Tensors (n, h, w, 1) in [0, 1] and (n,) from X (n, 1, h, w) uint8 and y (n,).

        Augmented, X is float32 in [0, 1] already, and y may be rows of probabilities.
        """
        with accelerators.on(self.device):
            if not tf.is_tensor(X):
                X, y = tf.constant(X.transpose(0, 2, 3, 1)), tf.constant(y)
            else:
                X, y = tf.transpose(X, (0, 2, 3, 1)), tf.cast(y, tf.int64)
            X = X if X.dtype == tf.float32 else tf.cast(X, tf.float32) / 255
            return X, y

    def resident(self, images, labels):
        """The images and the labels on the GPU, if it has four times the room for them."""
        if not self.device or not accelerators.has_room(self.device, images.shape):
            return images, labels
        # Variables: TensorFlow gathers bytes of a tensor on the CPU, of these on the GPU.
        with accelerators.on(self.device):
            return tuple(tf.Variable(a, trainable=False) for a in (images, labels))

    def take(self, tensor, indices):
        """The examples `indices`, a NumPy array, of what lies on the device."""
        with accelerators.on(self.device):
            return super().take(tensor, indices)

    def visualize(self, batch, nrows=1, ncols=8, labels=()):
        """Show the first images of a minibatch with their labels."""
        # TensorFlow's tensors have no method `squeeze`.
        return super().visualize([a.numpy() for a in batch], nrows, ncols, labels)
