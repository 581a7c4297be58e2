"""Data sets as d2l's chapters define them: batches of tensors, shuffled for training."""

import numpy as np
import pytest

from d2lext.core.data.datamodule import DataModule, FashionMNIST


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


@pytest.mark.parametrize(
    ("tensors", "got"),
    [
        (
            (np.zeros((20, 3)), np.zeros(40)),
            r"got the lengths \[20, 40\]: give one label",
        ),
        (
            (np.zeros((20, 3)), np.zeros(15)),
            r"got the lengths \[20, 15\]: give one label",
        ),
        (np.zeros((20, 3)), "got ndarray: give one label"),
        ((), r"got the lengths \[\]: give"),
    ],
)
def test_tensors_that_do_not_belong_together(tensors, got):
    """PyTorch's TensorDataset refuses them, too; JAX would take the last label again."""
    with pytest.raises(ValueError, match=got):
        Data(np.arange(9)).get_tensorloader(tensors, train=True)


@pytest.mark.parametrize(
    "indices", [[], slice(9, 9), [9], [1.5], (1, 2), 5, None], ids=repr
)
def test_indices_that_select_no_examples(indices):
    with pytest.raises((ValueError, IndexError), match="^indices must .* below 9, "):
        Data(np.arange(9)).get_tensorloader((np.arange(9),), False, indices)


def test_lists_in_place_of_tensors():
    with pytest.raises(TypeError, match="^tensors must be arrays .* got a list: "):
        next(iter(Data(np.arange(9)).get_tensorloader(([1, 2], [3, 4]), False)))


def test_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert DataModule("~/data").root == "/home/ada/data"


@pytest.mark.parametrize(
    "resize", [32, np.int64(32), [32, 32], (np.int64(32), 32), np.array([32, 32])]
)
def test_sizes(few_garments, no_network, cache, resize):
    data = FashionMNIST(np.int64(8), resize, np.int64(5), num_val=3)
    assert data.hparams == {
        "batch_size": 8, "resize": (32, 32), "num_train": 5, "num_val": 3
    }  # fmt: skip
    assert [type(data.batch_size), *map(type, data.resize)] == [int] * 3


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"resize": (96.0, 96)}, r"resize must hold .*, each >= 1, got \(96.0, 96\)"),
        ({"resize": (96, 96, 1)}, r"resize must be .* got \(96, 96, 1\): no channels"),
        ({"resize": "96"}, "resize must hold at least one integer"),
        ({"batch_size": (96, 96)}, r"batch_size must be .* >= 1, got \(96, 96\)"),
        ({"batch_size": 64.0}, "batch_size must be an integer >= 1, got 64.0"),
    ],
)
def test_wrong_sizes(options, rule):
    with pytest.raises(ValueError, match=rule):
        FashionMNIST(**options)
