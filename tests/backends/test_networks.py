"""The networks of d2l's convolutional chapters train in every framework."""

import importlib

import numpy as np
import pytest
from shared.frameworks import tensor

pytestmark = pytest.mark.usefixtures("whole_runs")

# The smallest images, in pixels (height, width), that leave the last layers something.
SIZES = {
    "LeNet": (28, 28),
    "AlexNet": (65, 65),
    "VGG": (32, 32),
    "NiN": (67, 67),
    "GoogLeNet": (32, 32),
    "BNLeNetScratch": (28, 28),
    "BNLeNet": (28, 28),
    "ResNet": (32, 32),
    "ResNeXt": (16, 16),
    "DenseNet": (29, 29),
    "RegNet": (16, 16),
}
EPOCHS = 21  # of one batch: history[20] is the loss after twenty steps


@pytest.fixture(scope="module")
def networks(backend):
    """The networks of one framework by name: how to make each."""
    return importlib.import_module(f"shared.networks.{backend}").NETWORKS


def test_every_chapter_has_its_network(networks):
    assert list(networks) == list(SIZES)


def one_batch(d2l, size):
    """A data set: the same 16 images of `size`, for training alone.

    They are of 3 of the 10 classes: what a few steps can learn is which ones.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(16, 1, *size))
    y = rng.integers(3, size=16)

    class OneBatch(d2l.DataModule):
        batch_size = 16
        batch = tensor(d2l, X), tensor(d2l, y)

        def get_dataloader(self, train):
            return self.get_tensorloader(self.batch, train) if train else None

    return OneBatch()


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == "LeNet" else pytest.mark.slow) for n in SIZES],
)
def test_it_learns_with_all_of_its_parameters(d2l, framework, networks, name):
    class Trainer(d2l.Trainer):
        def fit_epoch(self):
            super().fit_epoch()
            self.weights.append(framework.weights(self.model))

    trainer = Trainer(max_epochs=EPOCHS, num_gpus=1)
    trainer.weights = []
    trainer.fit(networks[name](), one_batch(d2l, SIZES[name]))
    first, last = (trainer.history[i]["train_loss"] for i in (0, EPOCHS - 1))
    assert last < 0.9 * first
    moved = [
        (a != b).any() for a, b in zip(*trainer.weights[:: EPOCHS - 1], strict=True)
    ]
    assert all(moved), f"{moved.count(False)} of {len(moved)} did not"
