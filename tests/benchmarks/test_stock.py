"""The stock side: it runs today, trains the same network, and loads nothing of ours."""

import json
import os
import subprocess
import sys

import pytest
from shared.benchmarks import needs
from shared.selected import SELECTED

LIBRARIES = {"jax": ("jax", "flax", "optax", "tensorflow")}
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


@pytest.mark.slow
@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(name, marks=needs(*LIBRARIES.get(name, (name,))))
        for name in SELECTED
    ],
)
def test_stock_trains_the_same_network_without_us(root, backend):
    result = subprocess.run(
        [sys.executable, "-c", STOCK, backend],
        cwd=root,
        # Compiles in half the time; no number of a step is asserted.
        env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    reply = json.loads(result.stdout.splitlines()[-1])
    assert reply["ours"] == []
    image = [1, 96, 96] if backend in ("torch", "mxnet") else [96, 96, 1]
    assert reply["shapes"] == [[4, *image]] * 2
    assert reply["params"] == 758_226


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
