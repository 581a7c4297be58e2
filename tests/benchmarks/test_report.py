"""Timings become medians and ratios, and these a page."""

import json

import pytest
from shared.benchmarks import raw, side

from benchmarks import summary
from benchmarks.page import markdown
from d2lext.core.frameworks import IDS


def test_medians_and_ratios_round_by_round():
    # The ratio of the medians would be 2, that of the rounds is 4.
    both = {"stock": side(4.0, 2.0, 1.0), "ours": side(1.0, 0.25, 2.0)}
    both["ours"]["precision"] = "bf16"
    result = summary.summarise(raw("step", {"torch": both}))
    torch = result["frameworks"]["torch"]
    assert torch["ratios"] == [4.0, 8.0, 0.5]
    assert torch["ratio"] == {"median": 4.0, "min": 0.5, "max": 8.0}
    assert torch["sides"]["stock"]["median_s"] == 2.0
    assert torch["sides"]["ours"]["median_s"] == 1.0
    assert result["rates"]["conv_fp32"] == {"median": 4e11, "min": 3e11, "max": 8e11}
    flop = result["arithmetic"]["paper"]["flop"]
    # Each side beside what the machine does in that side's precision.
    stock, ours = torch["sides"]["stock"], torch["sides"]["ours"]
    assert stock["share_of_conv"] == pytest.approx(flop / 2 / 8e11)
    assert ours["share_of_conv"] == pytest.approx(flop / 16e11)
    assert ours["share_of_matmul"] == pytest.approx(flop / 2e11)
    assert json.loads(json.dumps(result)) == result


def test_the_epoch_is_extrapolated_from_its_batches():
    both = {
        "stock": side(2.0, 2.0, 2.0, key="batch_s", start_s=18.0),
        "ours": side(0.5, 0.5, 0.5, key="batch_s", start_s=4.5),
    }
    result = summary.summarise(raw("epoch", {"torch": both}, batches=6, lead=2))
    torch = result["frameworks"]["torch"]
    assert torch["sides"]["stock"]["median_s"] == 18 + 391 * 2
    assert torch["sides"]["ours"]["median_s"] == 4.5 + 391 * 0.5
    page = markdown(result)
    text = " ".join(page.split())
    assert "on 6 batches incl. their data, after 2 that do not count, extrap" in text
    assert "GFLOP" not in page


def test_the_page_is_narrow_and_says_what_is_missing():
    both = {"stock": side(4.0, 2.0, 1.0), "ours": side(1.0, 0.25, 2.0)}
    frameworks = dict.fromkeys(IDS, both) | {"mxnet": {"absent": "No module named m"}}
    page = markdown(summary.summarise(raw("step", frameworks)))
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
    page = markdown(summary.summarise(timings))
    assert "Rates not measured: No module named 'torch'" in page
    assert "keras.applications on JAX" in page
    assert "of convolution" not in page
