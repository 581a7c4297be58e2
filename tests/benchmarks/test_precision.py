"""Precisions are compared over the same seeds."""

import pytest

from benchmarks import precision


def test_precisions_are_compared_seed_by_seed():
    summary = precision.summarise({"fp32": [0.5, 0.6, 0.7], "bf16": [0.6, 0.5, 0.7]})
    assert summary["fp32"] == {"mean": pytest.approx(0.6), "range": pytest.approx(0.2)}
    assert summary["bf16 minus fp32"] == pytest.approx(0)
    summary = precision.summarise({"fp32": [0.5, 0.6, 0.7], "bf16": [0.4, 0.5, 0.6]})
    assert summary["bf16 minus fp32"] == pytest.approx(-0.1)
