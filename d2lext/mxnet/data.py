"""Data sets as MXNet arrays."""

from mxnet import np

from d2lext.core.data import datamodule
from d2lext.core.data.datamodule import DataModule

__all__ = ["DataModule", "FashionMNIST"]


class FashionMNIST(datamodule.FashionMNIST):
    """Fashion-MNIST; minibatches are X (n, 1, h, w) float32 in [0, 1] and y (n,)."""

    def to_tensors(self, X, y):
        """Arrays from NumPy: X (n, 1, h, w) uint8 to [0, 1], y (n,) as int32."""
        X = np.array(X, dtype=np.uint8, ctx=self.device)
        return X.astype(np.float32) / 255, np.array(y, dtype=np.int32, ctx=self.device)

    def visualize(self, batch, nrows=1, ncols=8, labels=()):
        """Show the first images of a minibatch with their labels."""
        # Matplotlib would turn MXNet's arrays into object arrays.
        return super().visualize([a.asnumpy() for a in batch], nrows, ncols, labels)
