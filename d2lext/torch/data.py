"""Data sets as PyTorch tensors."""

import torch

from d2lext.core.data import datamodule
from d2lext.torch.accelerators import has_room, moved

__all__ = ["DataModule", "FashionMNIST"]


class DataModule(datamodule.DataModule):
    """Base of data sets: a loader for training and one for validation."""

    def take(self, tensor, indices):
        """The examples `indices`, a NumPy array, of a tensor."""
        if isinstance(tensor, torch.Tensor) and tensor.device.type != "cpu":
            # PyTorch itself would wait until the GPU has them.
            indices = moved(torch.from_numpy(indices), tensor.device)
        # Not `super()`: a data module of d2l may borrow this method.
        return datamodule.DataModule.take(self, tensor, indices)


class FashionMNIST(datamodule.FashionMNIST, DataModule):
    """Fashion-MNIST; minibatches are X (n, 1, h, w) float32 in [0, 1] and y (n,)."""

    def to_tensors(self, X, y):
        """Tensors from NumPy: X (n, 1, h, w) uint8 to [0, 1], y (n,) as int64.

        Augmented, X is float32 in [0, 1] already, and y may be rows of probabilities.
        """
        X, y = (moved(torch.as_tensor(a), self.device) for a in (X, y))
        X = X if X.is_floating_point() else X.float() / 255
        return X, y if y.is_floating_point() else y.long()

    def resident(self, images, labels):
        """Images and labels on the GPU, if there is one with room for them."""
        gpu = torch.device(self.device or "cpu")
        if gpu.type == "cpu" or not has_room(gpu, images.nbytes):
            return images, labels
        return tuple(torch.tensor(array, device=gpu) for array in (images, labels))
