"""Training that is shortened: how many epochs, and that it says so."""

import operator

import numpy as np
import pytest

from d2lext.core.data.minibatches import TensorBatches
from d2lext.core.training import epochs, provenance, report
from d2lext.core.training.epochs import FAST_TRAIN_BATCHES
from d2lext.core.training.trainer import Trainer


class Stub(Trainer):
    def find_gpus(self, num_gpus):
        return []

    def fastest(self):
        return "fp32", False


@pytest.mark.parametrize(
    ("fast", "limit", "number"),
    [("", "", 10), ("", "3", 3), ("1", "", 1), ("", "20", 10)],
)
def test_short_modes_limit_epochs_and_say_so(monkeypatch, capsys, fast, limit, number):
    monkeypatch.setenv("D2LEXT_FAST", fast)
    monkeypatch.setenv("D2LEXT_EPOCHS", limit)
    trainer = Stub(max_epochs=10)
    assert trainer.num_epochs == number
    report.shortened(trainer.max_epochs, trainer.num_epochs, FAST_TRAIN_BATCHES)
    said = capsys.readouterr().out
    assert ("mean nothing" in said) == bool(fast)
    assert (f"training {number} of 10 epochs" in said) == (limit == "3")


def test_a_bad_limit(monkeypatch):
    monkeypatch.setenv("D2LEXT_EPOCHS", "many")
    with pytest.raises(ValueError, match="D2LEXT_EPOCHS must be an integer"):
        provenance.epoch_limit()


def test_max_epochs_must_be_positive():
    with pytest.raises(ValueError, match="max_epochs must be an integer >= 1, got 0"):
        Stub(max_epochs=0)


@pytest.mark.parametrize(("fast", "sizes"), [("1", [32, 32, 8]), ("", [40, 40, 8])])
def test_fast_mode_takes_a_few_examples_of_each_batch(monkeypatch, fast, sizes):
    monkeypatch.setenv("D2LEXT_FAST", fast)
    X = np.arange(88)
    loader = TensorBatches([X], X, 40, False, 0, operator.getitem)
    found = [*epochs.batches(loader, train=True)]
    starts = zip(sizes, (0, 40, 80), strict=True)
    expected = [X[start : start + size] for size, start in starts]
    assert all(np.array_equal(a, b) for (a,), b in zip(found, expected, strict=True))
    assert len([*epochs.batches([0] * 5, train=True)]) == (3 if fast else 5)
