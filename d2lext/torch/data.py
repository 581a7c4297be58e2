"""Data sets as PyTorch tensors."""

import torch

from d2lext.core import datamodule
from d2lext.core.datamodule import DataModule

__all__ = ["DataModule", "FashionMNIST"]


class FashionMNIST(datamodule.FashionMNIST):
    """Fashion-MNIST; minibatches are X (n, 1, h, w) float32 in [0, 1] and y (n,)."""

    def to_tensors(self, X, y):
        """Tensors from NumPy: X (n, 1, h, w), y (n,) as int64."""
        return torch.from_numpy(X), torch.from_numpy(y).long()
