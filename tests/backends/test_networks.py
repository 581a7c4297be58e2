"""The networks of d2l's convolutional chapters train in every framework."""

import importlib

import pytest
from shared.selected import SELECTED, d2l_or_skip

NAMES = (
    "LeNet",
    "AlexNet",
    "VGG",
    "NiN",
    "GoogLeNet",
    "BNLeNetScratch",
    "BNLeNet",
    "ResNet",
    "ResNeXt",
    "DenseNet",
    "RegNet",
)
QUICK = ("LeNet", "BNLeNet")
EPOCHS = 21  # of one batch: history[20] is the loss after twenty steps


@pytest.fixture(scope="module", params=SELECTED)
def networks(request):
    """The module of networks in one framework."""
    d2l_or_skip(request.param)
    return importlib.import_module(f"shared.networks.{request.param}")


def test_every_chapter_has_its_network(networks):
    assert tuple(networks.NETWORKS) == NAMES


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NAMES],
)
def test_it_learns_with_all_of_its_parameters(monkeypatch, networks, name):
    monkeypatch.delenv("D2LEXT_FAST", raising=False)
    make, size = networks.NETWORKS[name]
    model, data = make(), networks.OneBatch(size)
    trainer = networks.d2l.Trainer(max_epochs=EPOCHS, num_gpus=1)
    trainer.fit(model, data)
    first, last = (trainer.history[i]["train_loss"] for i in (0, EPOCHS - 1))
    assert last < 0.9 * first
    [batch] = data.train_dataloader()
    dead = [key for key, grad in networks.gradients(model, *batch) if not grad.any()]
    assert dead == []
