"""Data sets as PyTorch tensors."""

import torch

from d2lext.core.data import datamodule
from d2lext.core.data.datamodule import DataModule

__all__ = ["DataModule", "FashionMNIST"]


class FashionMNIST(datamodule.FashionMNIST):
    """Fashion-MNIST; minibatches are X (n, 1, h, w) float32 in [0, 1] and y (n,)."""

    def to_tensors(self, X, y):
        """Tensors from NumPy: X (n, 1, h, w) uint8 to [0, 1], y (n,) as int64."""
        X, y = (torch.from_numpy(a).to(self.device, non_blocking=True) for a in (X, y))
        return X.float() / 255, y.long()
