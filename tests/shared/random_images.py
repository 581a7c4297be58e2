"""A small data set for the backends' tests: random images, in order."""

import numpy as np

from d2lext.core.data.datamodule import DataModule


class Data(DataModule):
    """Random images, 20 for training, 12 for validation: the last batch is smaller.

    A subclass says in `to_tensor` how the framework makes tensors of NumPy's arrays.
    """

    def __init__(self, shape=(16, 16, 1), classes=10, batch_size=8):
        super().__init__()
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 2, size=(32, *shape)).astype(np.float32)
        self.X = self.to_tensor(X)
        self.y = self.to_tensor(rng.integers(classes, size=32))
        self.batch_size = batch_size

    def get_dataloader(self, train):
        part = slice(None, 20) if train else slice(20, None)
        X, y = self.X[part], self.y[part]
        starts = range(0, len(y), self.batch_size)
        return [
            (X[i : i + self.batch_size], y[i : i + self.batch_size]) for i in starts
        ]
