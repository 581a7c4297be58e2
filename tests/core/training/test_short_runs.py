"""Training that is shortened: how many epochs, and that it says so."""

import pytest

from d2lext.core.training import provenance, report
from d2lext.core.training.epochs import FAST_TRAIN_BATCHES
from d2lext.core.training.trainer import Trainer


class Stub(Trainer):
    def find_gpus(self, num_gpus):
        return []

    def fastest(self):
        return "fp32", False


@pytest.mark.parametrize(
    ("fast", "limit", "epochs"),
    [("", "", 10), ("", "3", 3), ("1", "", 1), ("", "20", 10)],
)
def test_short_modes_limit_epochs_and_say_so(monkeypatch, capsys, fast, limit, epochs):
    monkeypatch.setenv("D2LEXT_FAST", fast)
    monkeypatch.setenv("D2LEXT_EPOCHS", limit)
    trainer = Stub(max_epochs=10)
    assert trainer.num_epochs == epochs
    report.shortened(trainer.max_epochs, trainer.num_epochs, FAST_TRAIN_BATCHES)
    said = capsys.readouterr().out
    assert ("mean nothing" in said) == bool(fast)
    assert (f"training {epochs} of 10 epochs" in said) == (limit == "3")


def test_a_bad_limit(monkeypatch):
    monkeypatch.setenv("D2LEXT_EPOCHS", "many")
    with pytest.raises(ValueError, match="D2LEXT_EPOCHS must be an integer"):
        provenance.epoch_limit()


def test_max_epochs_must_be_positive():
    with pytest.raises(ValueError, match="max_epochs must be an integer >= 1, got 0"):
        Stub(max_epochs=0)
