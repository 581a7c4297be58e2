"""Records of trainings that chapters compare with their own."""

import json
import math

import pytest
from shared.numpy_trainer import Data, fit

from d2lext.core.training import records

pytestmark = pytest.mark.usefixtures("whole_runs")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for the records of one test."""
    monkeypatch.setattr(records, "FOLDER", tmp_path / "recorded")
    return tmp_path / "recorded"


def test_a_record_says_what_the_training_said(folder, capsys):
    data = Data()
    data.test_dataloader = data.val_dataloader
    trainer, _ = fit()
    said = capsys.readouterr().out
    records.write("line", trainer, data)
    assert capsys.readouterr().out == ""
    record = records.recorded("line")
    assert record["history"] == trainer.history
    trainer.test(data)
    assert record["printed"] == said + capsys.readouterr().out
    assert "an abacus" in record["printed"]


def test_a_training_that_does_not_end_keeps_the_record(folder):
    data = Data()
    data.test_dataloader = data.val_dataloader
    trainer, model = fit()
    before = records.write("line", trainer, data).read_bytes()
    model.w[:] = math.nan
    with pytest.raises(FloatingPointError):
        records.write("line", trainer, data)
    assert [path.name for path in folder.iterdir()] == ["line.json"]
    assert (folder / "line.json").read_bytes() == before


def test_an_unknown_name(folder):
    folder.mkdir()
    (folder / "resnet18.json").write_text(json.dumps({}))
    with pytest.raises(ValueError, match="got 'resnet': choose from resnet18$"):
        records.recorded("resnet")
