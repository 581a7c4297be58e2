"""Data sets as JAX arrays."""

import jax
import numpy as np
from jax import numpy as jnp

from d2lext.core.data import datamodule
from d2lext.core.data.datamodule import DataModule

__all__ = ["DataModule", "FashionMNIST"]


class FashionMNIST(datamodule.FashionMNIST):
    """Fashion-MNIST; minibatches are X (n, h, w, 1) float32 in [0, 1] and y (n,)."""

    def to_tensors(self, X, y):
        """Arrays from NumPy: X (n, 1, h, w) uint8 to (n, h, w, 1) in [0, 1], y (n,)."""
        batch = X.transpose(0, 2, 3, 1), y.astype(np.int32)
        X, y = jax.device_put(batch, self.device)
        return X.astype(jnp.float32) / 255, y
