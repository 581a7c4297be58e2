"""The command line: what it runs, in which order, and what it writes."""

import importlib
import json

import pytest
from shared.benchmarks import fake_process, needs, raw, side

from benchmarks import __main__ as command
from benchmarks import memory, precision
from builder.command import arguments as cli
from builder.errors import BookError
from d2lext.core.frameworks import IDS


def test_the_verb():
    args = cli.parse(["bench", "step", "memory", "--backend", "tf", "--quick"])
    assert (args.verb, args.name, args.quick) == ("bench", ["step", "memory"], True)
    assert cli.needs(args) == {"book", "tensorflow"}
    assert cli.needs(cli.parse(["bench", "--backend", "jax"])) >= {"jax", "tensorflow"}
    with pytest.raises(BookError, match="unknown benchmark 'steps': choose from step"):
        cli.parse(["bench", "steps"])


def test_the_command_writes_the_page_and_its_numbers(tmp_path, monkeypatch, capsys):
    from benchmarks import compare

    def run(what, backends, precision, quick, full):
        asked.append((what, backends, precision, quick, full))
        both = {"stock": side(4.0), "ours": side(1.0)}
        return raw(what, dict.fromkeys(backends, both))

    asked = []
    monkeypatch.setattr(compare, "run", run)
    numbers = tmp_path / "numbers.json"
    argv = ["step", "--backend", "torch", "--quick", "--json", str(numbers)]
    assert command.main([*argv, "--out", str(tmp_path)]) == 0
    assert asked == [("step", ["torch"], "auto", True, False)]
    page = (tmp_path / "step-torch.md").read_text()
    assert page in capsys.readouterr().out
    written = json.loads(numbers.read_text())
    assert written == json.loads((tmp_path / "step-torch.json").read_text())
    assert written["frameworks"]["torch"]["ratio"]["median"] == 4.0


def test_what_imports_frameworks_comes_last(tmp_path, monkeypatch):
    """After it, the processes of the other sides would begin with less memory."""
    asked = []

    def measure(name, *_):
        asked.append(name)
        return {"frameworks": {"torch": {}}}

    monkeypatch.setattr(command, "_measure", measure)
    assert command.main(["precision", "memory", "step"]) == 0
    assert asked == ["step", "memory", "precision"]


@needs("mxnet", "torch")
def test_every_measurement_is_written(tmp_path, monkeypatch):
    def train(backend, seed, precision, num_train, epochs):
        importlib.import_module(f"d2lext.{backend}")  # its versions are told
        return {"val_acc": 0.5 + seed / 10 + (precision == "bf16") / 100}

    monkeypatch.setattr(precision, "train", train)
    monkeypatch.setattr(memory, "in_process", fake_process(0.5))
    argv = ["precision", "memory", "--backend", "mxnet", "--backend", "torch"]
    assert command.main([*argv, "--quick", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "precision-mxnet-torch.md").read_text()
    rows = [
        line for line in page.splitlines() if line.startswith("|") and "0.6" in line
    ]
    for row, title in zip(rows, ("MXNet", "PyTorch"), strict=True):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells == [title, "0.600 (0.200)", "0.610 (0.200)", "+0.010"]
    written = json.loads((tmp_path / "memory-mxnet-torch.json").read_text())
    assert written["frameworks"]["mxnet"]["batch"] == memory.QUICK_BATCH
    assert "cpu" in written["machine"]
    everything = [word for name in IDS for word in ("--backend", name)]  # as build.py
    command.main(["memory", *everything, "--quick", "--out", str(tmp_path)])
    assert len(json.loads((tmp_path / "memory.json").read_text())["frameworks"]) == 4
