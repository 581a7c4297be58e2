"""Data sets as JAX arrays."""

from jax import numpy as jnp

from d2lext.core import datamodule
from d2lext.core.datamodule import DataModule

__all__ = ["DataModule", "FashionMNIST"]


class FashionMNIST(datamodule.FashionMNIST):
    """Fashion-MNIST; minibatches are X (n, h, w, 1) float32 in [0, 1] and y (n,)."""

    def to_tensors(self, X, y):
        """Arrays from NumPy: X (n, 1, h, w) to (n, h, w, 1), y (n,) as int32."""
        return jnp.asarray(X.transpose(0, 2, 3, 1)), jnp.asarray(y, jnp.int32)
