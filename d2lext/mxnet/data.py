"""Data sets as MXNet arrays."""

from mxnet import np

from d2lext.core import datamodule
from d2lext.core.datamodule import DataModule

__all__ = ["DataModule", "FashionMNIST"]


class FashionMNIST(datamodule.FashionMNIST):
    """Fashion-MNIST; minibatches are X (n, 1, h, w) float32 in [0, 1] and y (n,)."""

    def to_tensors(self, X, y):
        """Arrays from NumPy: X (n, 1, h, w), y (n,) as int32."""
        return np.array(X, dtype=np.float32), np.array(y, dtype=np.int32)

    def visualize(self, batch, nrows=1, ncols=8, labels=()):
        """Show the first images of a minibatch with their labels."""
        # Matplotlib makes an array of objects out of MXNet's.
        return super().visualize([a.asnumpy() for a in batch], nrows, ncols, labels)
