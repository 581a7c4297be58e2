"""The benchmarks: their arithmetic, the stock side, the report. No time is asserted."""

import importlib
import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
from shared.selected import BACKENDS

from benchmarks import __main__ as command
from benchmarks import arithmetic, memory, precision, report, worker
from builder.command import arguments as cli
from builder.errors import BookError
from d2lext.core.densenet.registry import architecture
from d2lext.core.frameworks import IDS

D2L = architecture("densenet_d2l")
LIBRARIES = {"jax": ("jax", "flax", "optax", "tensorflow")}


def needs(*modules):
    missing = [name for name in modules if not find_spec(name)]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} missing")


def of_frameworks():
    return [
        pytest.param(
            name, marks=[needs(*LIBRARIES.get(name, (name,))), pytest.mark.slow]
        )
        for name in BACKENDS or IDS
    ]


# Arithmetic


def test_flop_of_the_step():
    cost = arithmetic.step_cost(D2L, batch=128, size=(96, 96))
    assert round(cost.flop / 1e9, 1) == 97.3
    assert round(cost.forward_flop / 1e9, 1) == 33.0
    assert round(cost.backward_flop / 1e9, 1) == 64.2
    assert cost.params == 758_226


def test_pooling_first_saves_three_quarters_of_the_transitions():
    shape = {"batch": 128, "size": (96, 96)}
    paper = arithmetic.ops(D2L, **shape)
    ours = arithmetic.ops(D2L, **shape, pool_first=True)
    # 192 -> 96 on 24x24 pixels, 224 -> 112 on 12x12, 240 -> 120 on 6x6
    pixels = 192 * 96 * 24**2 + 224 * 112 * 12**2 + 240 * 120 * 6**2
    saved = sum(op.flop for op in paper) - sum(op.flop for op in ours)
    assert saved == 2 * 128 * pixels * 3 // 4
    assert [op.values for op in paper if op.kind == "conv"] != [
        op.values for op in ours if op.kind == "conv"
    ]


def test_values_of_the_first_layers():
    first, norm, pool, second, conv, *_ = arithmetic.ops(D2L, 2, (96, 96))
    assert first.values == norm.values == 2 * 48 * 48 * 64
    assert pool.values == second.values == 2 * 24 * 24 * 64
    assert conv.values == 2 * 24 * 24 * 32


def test_bytes_halve_with_their_size_but_not_the_parameters():
    cost = arithmetic.Cost(1, 2, activations=1000, params=10)
    assert cost.bytes(4) == 5 * 1000 * 4 + 5 * 10 * 4
    assert cost.bytes(2) == 5 * 1000 * 2 + 5 * 10 * 4


@needs("torch")
@pytest.mark.skipif(bool(BACKENDS) and "torch" not in BACKENDS, reason="not selected")
@pytest.mark.parametrize(
    ("name", "batch", "size"),
    [
        ("densenet_d2l", 2, (96, 96)),
        ("densenet_d2l", 1, (63, 80)),
        ("densenet_bc_100_12", 1, (32, 32)),
    ],
)
def test_flop_as_pytorch_counts_them(name, batch, size):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from d2lext import torch as d2l

    stock_order = name == "densenet_d2l"  # the paper's: convolution, then pooling
    if stock_order:
        from benchmarks.stock import torch as stock

        model = stock.DenseNet()
        model(torch.zeros(1, 1, 96, 96))
    else:
        model = d2l.create_model(name)
    network = architecture(name)
    X = torch.zeros(batch, network.in_channels, *size)
    counter = FlopCounterMode(display=False)
    with counter:
        model(X).sum().backward()
    cost = arithmetic.step_cost(network, batch, size, pool_first=not stock_order)
    assert counter.get_total_flops() == cost.flop


# The stock side


STOCK = """
import importlib, json, sys
import numpy as np
stock = importlib.import_module("benchmarks.stock." + sys.argv[1])
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (8, 28, 28), dtype=np.uint8)
side = stock.start(images, rng.integers(0, 10, 8).astype(np.uint8), batch_size=4)
batches = list(side.batches())
side.step(batches[0])
side.wait()
print(json.dumps({
    "ours": sorted(name for name in sys.modules if name.startswith("d2lext")),
    "shapes": [list(np.shape(batch[0])) for batch in batches],
    "params": stock.num_params(side),
}))
"""


@pytest.mark.parametrize("backend", of_frameworks())
def test_stock_trains_the_same_network_without_us(root, backend):
    result = subprocess.run(
        [sys.executable, "-c", STOCK, backend],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["ours"] == []
    image = [1, 96, 96] if backend in ("torch", "mxnet") else [96, 96, 1]
    assert found["shapes"] == [[4, *image]] * 2
    assert found["params"] == 758_226


def test_the_numpy_names_bring_no_settings(root):
    code = """
import os, sys, threading
before = dict(os.environ)
import numpy, pkgutil, runpy
modules = set(sys.modules)
runpy.run_path(sys.argv[1])
assert dict(os.environ) == before
assert threading.active_count() == 1
print(sorted(set(sys.modules) - modules))
"""
    path = str(root / "d2lext" / "mxnet" / "numpy1.py")
    command = [sys.executable, "-c", code, path]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


class Counting:
    """A side whose steps are its batches' numbers."""

    def __init__(self, length):
        self.length, self.steps = length, []

    def batches(self):
        return iter(range(self.length))

    def step(self, batch):
        self.steps.append(batch)

    def wait(self):
        pass


@pytest.mark.parametrize(
    ("length", "batches", "lead", "steps", "counted"),
    [(9, 3, 2, 5, 3), (9, 9, 0, 9, 9), (4, 3, 2, 4, 2), (1, 1, 0, 1, 1)],
)
def test_an_epochs_batches_are_counted(length, batches, lead, steps, counted):
    side = Counting(length)
    found = worker.Training(None, side).epoch(batches, lead)
    assert side.steps == list(range(steps))
    assert found["batches"] == counted


@pytest.mark.parametrize(("turn_s", "steps"), [(0, 1), (0.05, 5), (0.1, 10)])
def test_a_turn_has_as_many_steps_as_fit(turn_s, steps, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(worker.time, "perf_counter", lambda: clock[0])
    side = Counting(1)
    side.step = lambda batch: clock.__setitem__(0, clock[0] + 0.01)
    training = worker.Training(type("Module", (), {"num_params": lambda side: 0}), side)
    training.prepare()
    found = training.step(turn_s)
    assert found == {"step_s": pytest.approx(0.01), "steps": steps}


# Memory


def fake_process(mib_a_layer, limit_mib=None):
    """Measurements whose memory is in proportion to layers and images."""

    def measure(backend, depth, mode, batch, steps, limit_gib):
        layers = depth if mode == "plain" else depth / 4
        memory = mib_a_layer * layers * batch
        if 100 + memory > (limit_mib or limit_gib * 1024):
            return {"absent": f"over {limit_gib:g} GiB"}
        return {"memory_mib": memory, "peak_mib": 100 + memory, "step_s": 1.0}

    return measure


@pytest.mark.parametrize(
    ("mib_a_layer", "limit_mib", "batch"),
    [
        (0.5, None, 40),  # (4096 - 100) / (0.5 * 190) = 42
        (0.5, 3000, 28),  # less than the probes promise: the search goes down
        (8.0, None, 4),  # not even four images fit
    ],
)
def test_the_largest_batch(mib_a_layer, limit_mib, batch, monkeypatch):
    fake = fake_process(mib_a_layer, limit_mib)
    monkeypatch.setattr(memory, "in_process", fake)
    assert memory.largest_batch("torch", 190, 4)[0] == batch


def test_growth_is_linear_or_not():
    depths = (40, 100, 190)
    line = memory.growth(depths, [3 * depth for depth in depths])
    assert line["mib_a_layer"] == pytest.approx(3)
    assert line["power"] == pytest.approx(1)
    assert line["r2"] == pytest.approx(1)
    square = memory.growth(depths, [depth**2 for depth in depths])
    assert square["power"] == pytest.approx(2)
    assert square["r2"] < 0.99


def test_memorys_page(monkeypatch):
    def process(backend, *settings):
        if backend == "jax" and settings[1] == "efficient":
            return {"absent": "over 20 min"}
        return fake_process(0.5)(backend, *settings)

    monkeypatch.setattr(memory, "in_process", process)
    monkeypatch.setattr(memory, "LIMIT_GIB", 4)
    result = memory.run(["torch", "jax"], {"cpu": "A CPU"})
    page = memory.markdown(result)
    # 0.5 MiB for each of 190 layers and 40 images, and a quarter of it
    row = next(
        line for line in page.splitlines() if "PyTorch" in line and "190" in line
    )
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["PyTorch", "40", "190", "3800", "950", "0.25", *["1.00"] * 3]
    assert "- PyTorch, efficient: depth to the power of 1.00" in page
    assert "- JAX, plain" in page
    assert "- JAX, efficient" not in page
    assert page.count("over 20 min") == 6
    assert json.loads(json.dumps(result))["limit_gib"] == 4


# The report


def side(*seconds, key="step_s", **more):
    rounds = [{key: s, **more} for s in seconds]
    about = {"versions": {"torch": "2"}, "precision": "fp32", "device": "CPU"}
    return {"first_s": 9.0, **about, "rounds": rounds}


def raw(what, frameworks, **settings):
    return {
        "what": what,
        "machine": {"cpu": "A CPU, 2 cores", "system": "Linux", "python": "3"}
        | {"set": {"OMP_NUM_THREADS": "2"}},
        "settings": {"rounds": 3, "turn_s": 3, "precision": "auto", "images": "real"}
        | settings,
        "rates": [
            {"matmul_fp32": 1e11, "matmul_bf16": 2e11, "copy": 1e11}
            | {"conv_fp32": rate, "conv_bf16": 2 * rate}
            for rate in (3e11, 4e11, 8e11)
        ],
        "frameworks": frameworks,
    }


def test_medians_and_ratios_round_by_round():
    # The ratio of the medians would be 2, that of the rounds is 4.
    both = {"stock": side(4.0, 2.0, 1.0), "ours": side(1.0, 0.25, 2.0)}
    both["ours"]["precision"] = "bf16"
    result = report.summarise(raw("step", {"torch": both}))
    found = result["frameworks"]["torch"]
    assert found["ratios"] == [4.0, 8.0, 0.5]
    assert found["ratio"] == {"median": 4.0, "min": 0.5, "max": 8.0}
    assert found["sides"]["stock"]["median_s"] == 2.0
    assert found["sides"]["ours"]["median_s"] == 1.0
    assert result["rates"]["conv_fp32"] == {"median": 4e11, "min": 3e11, "max": 8e11}
    flop = result["arithmetic"]["paper"]["flop"]
    # Each side beside what the machine does in that side's precision.
    stock, ours = found["sides"]["stock"], found["sides"]["ours"]
    assert stock["share_of_conv"] == pytest.approx(flop / 2 / 8e11)
    assert ours["share_of_conv"] == pytest.approx(flop / 16e11)
    assert ours["share_of_matmul"] == pytest.approx(flop / 2e11)
    assert json.loads(json.dumps(result)) == result


def test_the_epoch_is_extrapolated_from_its_batches():
    both = {
        "stock": side(2.0, 2.0, 2.0, key="batch_s", start_s=18.0),
        "ours": side(0.5, 0.5, 0.5, key="batch_s", start_s=4.5),
    }
    result = report.summarise(raw("epoch", {"torch": both}, batches=6, lead=2))
    found = result["frameworks"]["torch"]
    assert found["sides"]["stock"]["median_s"] == 18 + 391 * 2
    assert found["sides"]["ours"]["median_s"] == 4.5 + 391 * 0.5
    page = report.markdown(result)
    text = " ".join(page.split())
    assert "on 6 batches incl. their data, after 2 that do not count, extrap" in text
    assert "GFLOP" not in page


def test_the_page_is_narrow_and_says_what_is_missing():
    both = {"stock": side(4.0, 2.0, 1.0), "ours": side(1.0, 0.25, 2.0)}
    frameworks = dict.fromkeys(IDS, both) | {"mxnet": {"absent": "No module named m"}}
    page = report.markdown(report.summarise(raw("step", frameworks)))
    assert max(map(len, page.splitlines())) <= 88
    assert "| PyTorch" in page
    assert "MXNet is absent: No module named m" in page
    assert "4.00x" in page
    assert "OMP_NUM_THREADS=2" in page
    assert "97.28" in page
    assert "88.49" in page


def test_without_rates_there_are_no_shares():
    both = {"peer": side(4.0, 2.0, 1.0), "ours": side(1.0, 0.25, 2.0)}
    timings = raw("peers", {"jax": both}, batch=8)
    timings |= {"rates": [], "rates_absent": "No module named 'torch'"}
    page = report.markdown(report.summarise(timings))
    assert "Rates not measured: No module named 'torch'" in page
    assert "keras.applications on JAX" in page
    assert "of convolution" not in page


# The command line


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


def test_precisions_are_compared_seed_by_seed():
    found = precision.summarise({"fp32": [0.5, 0.6, 0.7], "bf16": [0.6, 0.5, 0.7]})
    assert found["fp32"] == {"mean": pytest.approx(0.6), "range": pytest.approx(0.2)}
    assert found["bf16 minus fp32"] == pytest.approx(0)
    found = precision.summarise({"fp32": [0.5, 0.6, 0.7], "bf16": [0.4, 0.5, 0.6]})
    assert found["bf16 minus fp32"] == pytest.approx(-0.1)
