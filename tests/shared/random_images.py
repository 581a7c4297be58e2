"""Data of random images: as arrays, and as a data set to train on, in order."""

import numpy as np

from d2lext.core.data.datamodule import DataModule
from shared import frameworks


def images(shape, classes=10, seed=0):
    """Images of `shape` (n, c, h, w) in [0, 1] and their labels (n,)."""
    rng = np.random.default_rng(seed)
    return rng.random(shape, dtype=np.float32), rng.integers(classes, size=shape[0])


class Data(DataModule):
    """20 random images for training, 12 for validation: the last batch is smaller.

    `shape` is that of an example: (c, h, w), or (features,).
    """

    def __init__(self, d2l, shape=(1, 16, 16), batch_size=8):
        super().__init__()
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 2, size=(32, *shape)).astype(np.float32)
        self.X = frameworks.tensor(d2l, X)
        self.y = frameworks.tensor(d2l, rng.integers(10, size=32))
        self.batch_size = batch_size

    def get_dataloader(self, train):
        part = slice(None, 20) if train else slice(20, None)
        X, y = self.X[part], self.y[part]
        starts = range(0, len(y), self.batch_size)
        return [
            (X[i : i + self.batch_size], y[i : i + self.batch_size]) for i in starts
        ]
