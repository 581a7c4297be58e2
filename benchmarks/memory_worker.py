"""Measures the memory and time of one network's training step in this process.

    python -m benchmarks.memory_worker torch 100 efficient 16 5

The arguments are framework, depth, mode, batch and steps; it prints JSON. A step's memory
is the system's high-water mark of resident memory during the steps, less what was
resident before the first. Memory that only compilation needed is returned before the
mark is reset; the compiled program stays and counts: in JAX, 0.8 GiB for the deepest
network.
"""

import contextlib
import ctypes
import importlib
import json
import re
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks import ours
from d2lext.core.training import provenance


class Batches:
    """One minibatch of random images, repeated."""

    seed, device = 0, None

    def __init__(self, backend, batch):
        rng = np.random.default_rng(0)
        shape = (3, 32, 32) if backend in ("torch", "mxnet") else (32, 32, 3)
        X = rng.standard_normal((batch, *shape), np.float32)
        y = rng.integers(0, 10, batch)
        self.batch = [_tensor(backend, a) for a in (X, y)]

    def train_dataloader(self):
        """A list of one batch."""
        return [self.batch]

    val_dataloader = train_dataloader


def measure(backend, depth, mode, batch, steps):
    """MiB of a step, its median seconds, and what produced them."""
    d2l = importlib.import_module(f"d2lext.{backend}")
    trainer = d2l.Trainer(max_epochs=1, precision="fp32")
    num_convs = (depth - 4) // 6
    model = d2l.create_model(
        "densenet_bc_100_12",
        arch=(num_convs,) * 3,
        memory_efficient=mode == "efficient",
    )
    ours.prepare(trainer, model, Batches(backend, batch))
    data = trainer.prepare_batch(trainer.sample)

    def step():
        logged = trainer.train_step(data)
        ours.wait(backend, trainer, logged)
        return float(next(iter(logged.values())))

    before = resident_mib("VmRSS")
    start = time.perf_counter()
    step()
    first, seconds = time.perf_counter() - start, []
    _forget_the_first()
    for _ in range(steps):
        start = time.perf_counter()
        loss = step()
        seconds.append(time.perf_counter() - start)
    return {
        "memory_mib": resident_mib("VmHWM") - before,
        "step_s": statistics.median(seconds),
        "first_s": first,
        "loss": loss,
        "versions": provenance.versions(*trainer.distributions),
    }


def resident_mib(key, pid="self"):
    """A process's resident memory: VmRSS (now) or VmHWM (the peak); 0 once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    size = re.search(rf"{key}:\s+(\d+) kB", status)
    return int(size[1]) / 1024 if size else 0


def _tensor(backend, array):
    if backend == "torch":
        return importlib.import_module("torch").from_numpy(array)
    if backend == "tensorflow":
        return importlib.import_module("tensorflow").constant(array)
    if backend == "jax":
        dtype = np.float32 if array.dtype == np.float32 else np.int32
        return importlib.import_module("jax.numpy").asarray(array.astype(dtype))
    return importlib.import_module("mxnet").np.array(array, dtype=array.dtype)


def _forget_the_first():
    """Return idle memory after the first step, and reset the high-water mark."""
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def main(backend, depth, mode, batch, steps):
    """Print one measurement, as JSON."""
    print(json.dumps(measure(backend, int(depth), mode, int(batch), int(steps))))


if __name__ == "__main__":
    main(*sys.argv[1:])
