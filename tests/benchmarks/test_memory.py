"""Memory: the largest batch, its growth with depth, the page. Nothing is measured."""

import json

import pytest
from shared.benchmarks import fake_process

from benchmarks import memory


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
