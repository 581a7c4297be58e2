"""Records of long trainings: written, read, and of whole trainings."""

import json
import math
import re
from pathlib import Path

import pytest
from shared.numpy_trainer import Data, fit

from d2lext.core.training import records


@pytest.fixture
def folder(tmp_path, monkeypatch, whole_runs):
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    return tmp_path


def test_a_record_is_read_as_it_was_written(folder):
    record = {"history": [{"epoch": 1, "val_acc": 0.5}], "printed": "seed 0"}
    assert records.save("short", record) == folder / "short.json"
    assert records.recorded("short") == record


def test_fast_mode_keeps_the_record(folder, tmp_path, monkeypatch):
    before = records.save("short", {"seed": 0}).read_bytes()
    monkeypatch.setenv("D2LEXT_FAST", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "_build" / "bench").mkdir(parents=True)
    assert records.save("short", {"seed": 1}) == Path("_build/bench/short.json")
    assert (folder / "short.json").read_bytes() == before


def test_it_names_the_weights_beside_it(folder):
    records.save("short", {"printed": ""})
    (folder / "short.safetensors").write_bytes(b"")
    assert records.recorded("short")["weights"] == str(folder / "short.safetensors")


def test_an_unknown_name_is_answered_by_those_that_exist(folder):
    records.save("short", {})
    with pytest.raises(ValueError, match="got 'long': choose from short"):
        records.recorded("long")


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


@pytest.mark.parametrize("path", sorted(records.FOLDER.glob("*.json")), ids=str)
def test_what_the_library_has_is_of_whole_trainings(path):
    printed = json.loads(path.read_text("utf-8"))["printed"]
    assert "D2LEXT_FAST" not in printed, "run its script in benchmarks/ to the end"


def test_the_first_chapter_says_what_its_records_say(root):
    text = (root / "chapters" / "01-densenet.md").read_text("utf-8")
    section = text.partition("(sec-densenet-resnet)=")[2].partition("\n(sec-")[0]
    densenet, resnet = (
        [
            *(f"{record['history'][-1][key]:.3f}" for key in ("val_acc", "train_loss")),
            *re.findall(r"test accuracy ([\d.]+)", record["printed"]),
        ]
        for record in map(records.recorded, ("densenet", "resnet18"))
    )
    said = re.findall(r"0\.\d{3}\b", section)
    assert said == [
        *(densenet[0], resnet[0]),
        *(densenet[2], resnet[2]),
        *(resnet[1], densenet[1]),
    ]
