"""Data sets as MXNet arrays."""

from mxnet import np

from d2lext.core.data import datamodule
from d2lext.core.data.datamodule import DataModule

__all__ = ["DataModule", "FashionMNIST"]


class FashionMNIST(datamodule.FashionMNIST):
    """Fashion-MNIST; minibatches are X (n, 1, h, w) float32 in [0, 1] and y (n,)."""

    def to_tensors(self, X, y):
        """Arrays from NumPy: X (n, 1, h, w) uint8 to [0, 1], y (n,) as int32.

        Augmented, X is float32 in [0, 1] already, and y may be rows of probabilities.
        """
        X, y = (
            np.array(a, a.dtype if a.dtype == np.float32 else dtype, ctx=self.device)
            for a, dtype in ((X, np.uint8), (y, np.int32))
        )
        return X if X.dtype == np.float32 else X.astype(np.float32) / 255, y

    def visualize(self, batch, nrows=1, ncols=8, labels=()):
        """Show the first images of a minibatch with their labels."""
        # Matplotlib would turn MXNet's arrays into object arrays.
        return super().visualize([a.asnumpy() for a in batch], nrows, ncols, labels)
