"""The ladder of the chapter on training: single changes, and what the chapter says."""

import json
import math
import re
import statistics

import pytest
from shared import ROOT
from shared.benchmarks import needs

from d2lext.core.densenet.registry import architecture
from d2lext.core.frameworks import IDS
from d2lext.core.training import records

CHAPTER = (ROOT / "chapters" / "05-training.md").read_text("utf-8")
# Decay comes with the choice of what decays; the others change two things on purpose.
OF_TWO = {
    "decay": {"weight_decay", "decay_all"},
    "momentum, rate 0.01": {"momentum", "lr"},
    "batch 256, rate 0.4": {"batch_size", "lr"},
}


@pytest.fixture(scope="module")
def ladder():
    return records.recorded("ladder")


@needs("torch")
def test_a_rung_changes_one_thing():
    from benchmarks.ladder import RUNGS

    for name, (options, against) in RUNGS.items():
        if against is not None:
            other = RUNGS[against][0]
            keys = options.keys() | other.keys()
            changed = {key for key in keys if options.get(key) != other.get(key)}
            assert changed == OF_TWO.get(name, changed), name
            assert len(changed) == 1 or name in OF_TWO


@needs("torch")
def test_depth_and_width_cost_the_same():
    from benchmarks.ladder import PAIR

    counts = []
    for options in PAIR.values():
        network = architecture("densenet_bc_100_12", in_channels=1, **options)
        side, total = 28, 0
        for layer in network.layers():
            if layer.kind == "conv":
                total += side**2 * math.prod(layer.shape)
            side //= 1 + ("transition" in layer.name and layer.kind == "conv")
        counts.append(total)
    assert counts[0] == pytest.approx(counts[1], rel=0.03)


def test_every_rung_has_every_seed(ladder):
    seeds = {len(rung["acc"]) for rung in ladder["rungs"]}
    assert seeds == {3}
    for rung in ladder["rungs"]:
        sizes = ladder["pair"] if "layers" in rung["name"] else ladder
        for key in ("val_acc", "other_acc", "train_loss", "processor_seconds"):
            assert [len(run) for run in rung[key]] == [sizes["max_epochs"]] * 3


@pytest.mark.parametrize(
    ("name", "points", "said"),
    [
        ("rate 0.01", -17, "17 points behind"),
        ("rate 0.3", 5, "it is five points ahead of 0.1"),
        ("cosine", 3, "A cosine gains three points over the constant rate"),
        ("steps", -1, "The steps are a point behind it"),
        ("average", 3, "does as much for the constant rate as a schedule does"),
        ("average of cosine", -0.5, "it loses half a point"),
        ("decay", 0, "Weight decay makes no difference that we can see"),
        ("decay of all", 0, "whether it includes normalization makes none, either"),
        ("smoothing", 1, "Smoothing the labels gains a point"),
        ("batch 256", -7, "costs seven points"),
        (
            "batch 256, rate 0.4",
            -3.5,
            "four times the rate wins about half of them back",
        ),
        ("shifts and flips", -3, "shifts and flips together nearly three points"),
        ("single precision", 0, "Single precision is no better than bfloat16"),
    ],
)
def test_the_chapter_says_what_the_ladder_says(ladder, name, points, said):
    assert said in CHAPTER
    rungs = {rung["name"]: rung for rung in ladder["rungs"]}
    pairs = zip(rungs[name]["acc"], rungs[rungs[name]["against"]]["acc"], strict=True)
    assert 100 * statistics.mean(a - b for a, b in pairs) == pytest.approx(
        points, abs=0.55
    )


def test_dropout_fails_by_its_statistics_alone(ladder):
    rungs = {rung["name"]: rung for rung in ladder["rungs"]}
    for name in ("dropout", "dropout, augmented"):
        rung = rungs[name]
        assert min(rung["recalibrated"]) > max(rung["acc"])
        without, cured = rungs[rung["against"]]["acc"], rung["recalibrated"]
        behind = 100 * (statistics.mean(without) - statistics.mean(cured))
        assert behind == pytest.approx(5, abs=1), "about five points"


def test_the_long_run_has_the_parameters_that_the_chapter_says(ladder):
    said = re.search(r"still small: ([\d,]+) parameters", CHAPTER)[1]
    network = {"arch": (3, 6, 12), "growth_rate": 20, "num_channels": 40}
    counted = architecture("densenet_bc_100_12", in_channels=1, **network).num_params
    assert said == f"{counted:,}"
    record = records.recorded("longrun-short-torch")
    assert record["history"][-1]["epoch"] == 12
    accuracy = re.search(r"test accuracy (0\.\d+)", record["printed"])[1]
    assert f"on the test images is {100 * float(accuracy):.1f}%" in CHAPTER


def test_four_frameworks_saw_the_same_pixels():
    found = set()
    for backend in IDS:
        path = ROOT / "notebooks" / backend / "05-training.ipynb"
        cells = json.loads(path.read_text("utf-8"))["cells"]
        text = "".join(
            "".join(output.get("text", []))
            for cell in cells
            for output in cell.get("outputs", [])
        )
        pixels, label = re.search(r"pixels (\w{16})\nlabel (.*)", text).groups()
        found.add((pixels, label))
    assert len(found) == 1
