"""The script for a machine with a GPU: every part runs, and its page says what it found."""

import copy
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from shared.benchmarks import needs
from shared.selected import SELECTED

from benchmarks import __main__ as command
from benchmarks import meters
from benchmarks.gpu import page, parts, run
from benchmarks.gpu.parts import KILLED
from builder.command import arguments as cli

MACHINE = {"cpu": "A CPU", "system": "Linux", "python": "3", "set": {}}
BESIDE = {"torch": (), "jax": ("flax", "optax"), "tensorflow": (), "mxnet": ()}


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def check(backend, folder):
    """Every part has found on the CPU what it is to find there."""
    text = (folder / f"gpu-{backend}.md").read_text()
    result = json.loads((folder / f"gpu-{backend}.json").read_text())
    found = result["frameworks"][backend]
    assert found["step"]["step_s"] > 0
    assert found["step in fp32"]["precision"] == "fp32"
    # The CPU beside itself.
    assert set(found["parity"]["differences"].values()) == {0}
    assert set(found["parity"]["steps"].values()) == {0}
    for side in ("ours", "stock"):
        assert found[side]["steps"] == 4
        assert len(found[side]["epochs"]) == 2
    assert {found[f"memory {mode}"]["batch"] for mode in ("plain", "efficient")} == {4}
    assert found["killed"]["ended"] == f"failed with status {KILLED}"
    assert found["resume"]["began_with"] == 1
    assert found["resume"]["resumed"] == found["resume"]["uninterrupted"]
    assert "sees no GPU" in text
    assert "the numbers mean nothing" in text
    assert "Not measured" not in text
    return text


@pytest.mark.slow
@pytest.mark.parametrize(
    "backend",
    # The others compile for minutes: `build.py test --backend jax` tries them.
    [pytest.param(name, marks=needs(name, *BESIDE[name])) for name in SELECTED[:1]],
)
def test_every_part_runs_on_a_cpu(backend, tmp_path, without_gpu, capsys):
    argv = ["gpu", "--quick", "--minutes", "30", "--backend", backend]
    assert command.main([*argv, "--out", str(tmp_path)]) == 0
    assert check(backend, tmp_path) in capsys.readouterr().out


@pytest.mark.slow
@needs("torch")
@pytest.mark.skipif("torch" not in SELECTED, reason="not selected")
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_every_part_in_this_process(whole_runs, tmp_path, without_gpu, monkeypatch):
    """The same in a tenth of the time: PyTorch is imported once."""

    def process(name, backend, settings, allowed, facts, told):
        def tell(**found):
            facts.update(found)
            told()

        try:
            parts.PARTS[name](tell, backend, **settings)
        except SystemExit as error:
            facts["ended"] = f"failed with status {error.code}"

    monkeypatch.setattr(run, "_process", process)
    # Not in all of the process: workers that read data end by it.
    monkeypatch.setattr(parts, "os", SimpleNamespace(_exit=sys.exit))
    argv = ["gpu", "--quick", "--backend", "torch", "--out", str(tmp_path)]
    assert command.main(argv) == 0
    check("torch", tmp_path)


def test_the_verb():
    args = cli.parse(["bench", "gpu", "--minutes", "3"])
    assert (args.name, args.minutes) == (["gpu"], 3)


def test_it_runs_only_if_it_is_asked_for(tmp_path, monkeypatch):
    asked = []

    def measure(name, *_):
        asked.append(name)
        return {"frameworks": {"torch": {}}}

    monkeypatch.setattr(command, "_measure", measure)
    command.main([])
    assert "gpu" not in asked
    command.main(["gpu"])
    assert asked[-1] == "gpu"


SLOW = """
import json, subprocess, sys, time
print(json.dumps({"import_s": 1}), flush=True)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(json.dumps({"child": child.pid}), flush=True)
print('{"half a', end="", flush=True)
time.sleep(60)
"""
FAILS = "print('{\"import_s\": 1}', flush=True)\nraise ValueError('no kernel image')"


def test_what_came_before_a_time_limit_is_kept(monkeypatch):
    written = []
    monkeypatch.setattr(run, "WORKER", ("-c", SLOW))
    monkeypatch.setattr(run, "LEAST_S", 0)
    monkeypatch.setattr(run, "LIMITS", {"step": 100})  # a second of six
    start = time.monotonic()
    run.run(
        ["torch"], MACHINE, lambda *both: written.append(copy.deepcopy(both)), 0.1, True
    )
    assert time.monotonic() - start < 20
    result, text = written[-1]
    found = result["frameworks"]["torch"]["step"]
    assert found["import_s"] == 1
    assert found["ended"] == "stopped after 1 s"
    assert "PyTorch, step: stopped after 1 s" in text
    assert has_ended(found["child"])
    before, _ = written[1]  # while the process was still running
    assert before["frameworks"]["torch"]["step"]["import_s"] == 1
    assert "ended" not in before["frameworks"]["torch"]["step"]


def has_ended(pid, seconds=5):
    """Whether a process is gone soon, or waits only for its parent to notice."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if (
                Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                == "Z"
            ):
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_what_came_before_a_failure_is_kept_with_what_it_said(monkeypatch):
    written = []
    monkeypatch.setattr(run, "WORKER", ("-c", FAILS))
    run.run(["torch"], MACHINE, lambda *both: written.append(both), quick=True)
    result, text = written[-1]
    assert result["frameworks"]["torch"]["step"]["import_s"] == 1
    assert "- PyTorch, step: failed with status 1" in text
    assert "ValueError: no kernel image" in text


def test_without_time_nothing_begins(monkeypatch):
    monkeypatch.setattr(run, "WORKER", ("-c", "raise SystemExit(1)"))
    result = run.run(["jax", "torch"], MACHINE, lambda *_: None, minutes=0.05)
    assert list(result["frameworks"]) == ["torch", "jax"]  # as people look for them
    for facts in result["frameworks"].values():
        assert facts["step"] == {"ended": "not begun: no time left"}


def result_of(**torch):
    """A result on a machine with one card."""
    gpus = ["NVIDIA H200, 580.159.04, 9.0, 143771 MiB"]
    return {
        "machine": MACHINE | {"gpus": gpus, "versions": {"torch": "2.11.0"}},
        "minutes": 10,
        "quick": False,
        "frameworks": {"torch": {"step": {"num_gpus": 1, "import_s": 3.0}} | torch},
    }


def cells(text, start):
    """The cells of the only row that begins with the words `start`."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    [row] = [row for row in rows if row[: len(start)] == start]
    return row


def test_ten_epochs_are_compared():
    ours = [{"train_seconds": s, "val_acc": 0.9} for s in [4.0] + [1.0] * 9]
    # The second was broken off after 100 of 400 steps: a whole one would take 20 s.
    stock = [
        {"train_seconds": 30.0, "steps": 400},
        {"train_seconds": 5.0, "steps": 100},
    ]
    text = page.markdown(
        result_of(
            ours={"epochs": ours, "steps": 400, "precision": "bf16"},
            stock={"epochs": stock, "steps": 400},
        )
    )
    assert cells(text, ["PyTorch", "bf16"])[2:] == [
        *("10", "4.00", "1.00", "2.50", "13.0", "0.900"),
        f"{(30 + 9 * 20) / 13:.1f}x",
    ]
    assert cells(text, ["PyTorch", "d2l"])[2:7] == [
        "1.2",
        "30.00",
        "20.00",
        "50.00",
        "210.0",
    ]
    assert "PyTorch sees 1 GPU" in text
    assert "NVIDIA H200, 580.159.04" in text
    assert "mean nothing" not in text


def test_differences_over_their_tolerance_stand_out():
    differences = {"loss": 1e-6, "gradients": 2e-3, "statistics": float("nan")}
    tolerances = {"loss": 5e-6, "gradients": 5e-4, "statistics": 5e-6}
    facts = {"differences": differences, "tolerances": tolerances}
    text = page.markdown(result_of(parity=facts))
    assert cells(text, ["loss"]) == ["loss", "5e-06", "1.0e-06"]
    assert cells(text, ["gradients"])[2] == "**2.0e-03, too much**"
    assert cells(text, ["statistics"])[2] == "**nan, too much**"


@pytest.mark.parametrize(
    ("uninterrupted", "began_with", "verdict"),
    [("a", 1, "yes"), ("b", 1, "**no**"), ("a", 0, "nothing to resume from")],
)
def test_a_resume_is_judged_by_its_bits(uninterrupted, began_with, verdict):
    facts = {"resumed": "a", "uninterrupted": uninterrupted, "began_with": began_with}
    text = page.markdown(result_of(resume=facts | {"precision": "bf16"}))
    assert cells(text, ["PyTorch", "bf16"])[2] == verdict


def test_memory_is_what_the_framework_counts(monkeypatch):
    MIB = 2**20
    card = SimpleNamespace(now=100 * MIB, peak=900 * MIB)
    card.memory_stats = lambda: {
        "bytes_in_use": card.now,
        "peak_bytes_in_use": card.peak,
    }
    cuda = SimpleNamespace(
        memory_allocated=lambda device: device.now,
        max_memory_allocated=lambda device: device.peak,
        reset_peak_memory_stats=lambda device: vars(device).update(peak=device.now),
    )
    for backend, framework in ("torch", SimpleNamespace(cuda=cuda)), ("jax", None):
        monkeypatch.setitem(meters.sys.modules, backend, framework)
        card.now, card.peak = 100 * MIB, 900 * MIB
        meter = meters.of(backend, SimpleNamespace(device=card, gpus=[card]))
        meter.start()
        meter.forget_peak()
        if backend == "torch":
            assert meter.mib() == 0
            card.peak = 400 * MIB
        assert meter.mib() == {"torch": 300, "jax": 800}[backend]
    with pytest.raises(ValueError, match="MXNet does not tell"):
        meters.of("mxnet", SimpleNamespace(device=card, gpus=[card]))


@pytest.mark.slow
@needs("tensorflow")
@pytest.mark.skipif("jax" not in SELECTED, reason="not selected")
def test_batches_without_tensorflow(monkeypatch):
    """Pillow rounds pixels to bytes; otherwise they are TensorFlow's."""
    from benchmarks.stock import tfdata

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    labels = np.arange(5, dtype=np.uint8)
    epochs = []
    for tf in (tfdata.tf, None):
        monkeypatch.setattr(tfdata, "tf", tf)
        batches = list(tfdata.batches(images, labels, 2, (96, 96)).as_numpy_iterator())
        assert sorted(len(y) for _, y in batches) == [1, 2, 2]
        epochs.append({tuple(map(int, y)): X for X, y in batches})
    expected, found = epochs
    assert expected.keys() == found.keys()
    for y, X in expected.items():
        assert found[y].dtype == X.dtype
        assert np.abs(found[y] - X).max() < 1 / 255
