"""Data sets as d2l's chapters define them: batches of tensors, shuffled for training."""

import numpy as np

from d2lext.core.data.datamodule import DataModule


class Data(DataModule):
    def __init__(self, X):
        super().__init__()
        self.batch_size = 3
        self.X = X

    def get_dataloader(self, train):
        tensors = (self.X, self.X + 10)
        return self.get_tensorloader(tensors, train, slice(0, 7) if train else [1, 8])


def test_tensors_are_batched_and_shuffled_for_training_alone():
    data = Data(np.arange(9))
    loader = data.train_dataloader()
    assert len(loader) == 3
    first, second = ([X.tolist() for X, _ in loader] for _ in range(2))
    assert [len(X) for X in first] == [3, 3, 1]
    assert sorted(sum(first, [])) == list(range(7))
    assert first != second, "each epoch has an order of its own"
    assert first != [[0, 1, 2], [3, 4, 5], [6]]
    assert first == [X.tolist() for X, _ in data.train_dataloader()], "by the seed"
    data.seed = 1
    assert first != [X.tolist() for X, _ in data.train_dataloader()]
    assert all((y == X + 10).all() for X, y in loader)
    [(X, y)] = data.val_dataloader()
    assert (X.tolist(), y.tolist()) == ([1, 8], [11, 18])
