"""Transfer: the script's parts, and that the library's records of it are whole."""

import numpy as np
import pytest
from shared.benchmarks import needs

from benchmarks import transfer
from d2lext.core.frameworks import IDS
from d2lext.core.training import records


def test_examples_are_drawn_evenly_and_again():
    y = np.repeat([0, 1, 2], [50, 30, 20])
    i = transfer.draw_examples(y, 10, seed=0)
    assert len(set(i)) == 10
    assert sorted(np.bincount(y[i])) == [3, 3, 4]
    assert (i == transfer.draw_examples(y, 10, seed=0)).all()
    assert (i != transfer.draw_examples(y, 10, seed=1)).any()


def test_a_head_that_is_fitted_reads_features_as_they_are():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    features = rng.normal(size=(300, 4))
    features[np.arange(300), y] += 3
    features = features * [1, 100, 0.01, 1] + 5
    W, b = transfer.fit_head(features, y, 3)
    assert (W.dtype, b.dtype) == (np.float32, np.float32)
    assert transfer.accuracy(features @ W.T + b, y) > 0.9


def test_a_batch_is_drawn_for_each_step_and_the_rate_falls():
    X, y, seen = np.arange(5.0), np.arange(5), []
    transfer.train(
        lambda *args: seen.append(args), X, y, rate=0.4, steps=4, seed=0, batch_size=3
    )
    assert [len(labels) for _, labels, _ in seen] == [3] * 4
    assert all((images == labels).all() for images, labels, _ in seen)
    assert [rate for *_, rate in seen] == pytest.approx([0.4, 0.3, 0.2, 0.1])


@needs("torch")
def test_features_are_what_the_head_reads():
    from d2lext import torch as d2l

    weights = transfer.initial(3, seed=0)
    X = np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    features = transfer.features_of(d2l, weights, X)
    model = d2l.create_model(transfer.NAME, **transfer.OPTIONS, num_classes=3)
    d2l.set_weights(model, weights)
    W, b = (weights[name] for name in transfer.HEAD)
    np.testing.assert_allclose(features @ W.T + b, d2l.predict(model, X), atol=1e-4)


@needs("torch")
def test_a_network_begins_each_run_anew():
    from benchmarks.descents import descent
    from d2lext import torch as d2l

    model = d2l.create_model(transfer.NAME, **transfer.OPTIONS, num_classes=3)
    begin, step = descent("torch", model)
    X = np.random.default_rng(0).random((4, 1, 28, 28), np.float32)
    ends = []
    for _ in range(2):
        begin(transfer.initial(3, seed=0))
        step(X, np.array([0, 1, 2, 0]), 0.1)
        step(X, np.array([0, 1, 2, 0]), 0.1)
        ends.append(d2l.get_weights(model))
    first, second = ends
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("backend", IDS)
def test_a_record_has_each_draw_of_each_way(backend):
    record = records.recorded(f"transfer-{backend}")
    assert record["draws"] == transfer.DRAWS[backend]
    assert record["sizes"] == list(transfer.SIZES)
    assert list(record["test_acc"]) == list(transfer.WAYS)
    for found in record["test_acc"].values():
        assert list(found) == [str(size) for size in transfer.SIZES]
        for draws in found.values():
            assert len(draws) == record["draws"]
            assert all(1 / 4 < accuracy < 1 for accuracy in draws)
    options = {
        "steps": transfer.STEPS,
        "batch_size": transfer.BATCH_SIZE,
        "rate": transfer.RATE,
        "small_rate": transfer.SMALL_RATE,
    }
    assert {name: record[name] for name in options} == options


def test_the_pretrained_weights_are_small_and_know_seven_classes():
    from pathlib import Path

    record = records.recorded("transfer")
    assert record["classes"] == transfer.OLD
    assert record["new_classes"] == transfer.NEW
    assert len(record["classes"]) == record["options"]["num_classes"] == 7
    assert record["val_acc"] > 0.95
    assert Path(record["weights"]).stat().st_size < 300_000


def test_what_the_chapter_says_of_the_draws():
    """Sentences that a new record would make wrong."""
    found = {
        way: {size: np.array(draws) for size, draws in sizes.items()}
        for way, sizes in records.recorded("transfer-torch")["test_acc"].items()
    }
    at_once, scratch = found["all at once"], found["from scratch"]
    gains = {n: 100 * (at_once[n] - scratch[n]).mean() for n in scratch}
    assert {n: round(gain) for n, gain in gains.items()} == {
        "10": 4,
        "100": 2,
        "1000": 3,
    }
    assert (at_once["1000"] > found["head, then all"]["1000"]).all()
    for n in scratch:  # equal with ten examples
        assert round((at_once[n] - found["head, then all"][n]).mean(), 3) >= 0
    assert all(
        (found["head alone"]["1000"] < found[w]["1000"]).all()
        for w in found
        if w != "head alone"
    )
    deviations = [draws["10"].std(ddof=1) for draws in found.values()]
    assert min(deviations) > 0.025
    assert max(deviations) < 0.055


def test_what_the_chapter_says_of_the_four_frameworks():
    """The same draw ends farther apart from scratch than from pretrained features."""
    records_ = [records.recorded(f"transfer-{backend}") for backend in IDS]

    def apart(way, size):
        accuracies = [record["test_acc"][way][size][:2] for record in records_]
        return 100 * np.ptp(accuracies, axis=0).max()

    assert max(apart("head alone", str(n)) for n in transfer.SIZES) < 0.2
    assert 3.5 < max(apart("from scratch", str(n)) for n in transfer.SIZES) < 4.5
    assert apart("all at once", "1000") < 1.5
    assert apart("head, then all", "1000") < 1.5
