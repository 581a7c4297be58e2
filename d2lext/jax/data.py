"""Data sets as JAX arrays."""

import jax
import numpy as np
from jax import numpy as jnp

from d2lext.core.data import datamodule
from d2lext.jax.accelerators import has_room

__all__ = ["DataModule", "FashionMNIST"]

_SHARES = np.arange(256, dtype=np.float32) / np.float32(255)  # of white, by pixel


class DataModule(datamodule.DataModule):
    """Base of data sets: a loader for training and one for validation."""

    def take(self, tensor, indices):
        """The examples `indices`, a NumPy array, of a tensor."""
        if isinstance(tensor, jax.Array):
            return _taken(tensor, indices)
        # Not `super()`: a data module of d2l may borrow this method.
        return datamodule.DataModule.take(self, tensor, indices)


class FashionMNIST(datamodule.FashionMNIST, DataModule):
    """Fashion-MNIST; minibatches are X (n, h, w, 1) float32 in [0, 1] and y (n,)."""

    def to_tensors(self, X, y):
        """Arrays (n, h, w, 1) in [0, 1] and (n,) from X (n, 1, h, w) uint8 and y (n,).

        Augmented, X is float32 in [0, 1] already, and y may be rows of probabilities.
        """
        if isinstance(X, jax.Array):
            return _in_float32(X, y)
        y = y if y.dtype == np.float32 else y.astype(np.int32)
        X, y = jax.device_put((X.transpose(0, 2, 3, 1), y), self.device)
        return X if X.dtype == jnp.float32 else X.astype(jnp.float32) / 255, y

    def resident(self, images, labels):
        """Images and labels on the GPU, if there is one with room for them."""
        if self.device is None or not has_room(self.device, images.nbytes):
            return images, labels
        return jax.device_put((np.asarray(images), labels), self.device)


# Compiled, each is one call to a GPU.
_taken = jax.jit(lambda tensor, indices: tensor[indices])


@jax.jit
def _in_float32(X, y):
    # A table, because a GPU would divide only approximately.
    X = jnp.take(_SHARES, X.transpose(0, 2, 3, 1), mode="clip")
    return X, y.astype(jnp.int32)
