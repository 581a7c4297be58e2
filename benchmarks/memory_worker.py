"""Measures the memory and time of one network's training step in this process.

    python -m benchmarks.memory_worker torch 100 efficient 16 5

The arguments are framework, depth, mode, batch and steps; it prints JSON. A step's memory
is the system's high-water mark of resident memory during the steps, less what was
resident before the first. Memory that only compilation needed is returned before the
mark is reset; the compiled program stays and counts: in JAX, 0.8 GiB for the deepest
network. On a card it is what the framework reports.
"""

import importlib
import json
import statistics
import sys
import time

import numpy as np

from benchmarks import meters, ours
from d2lext.core.training import provenance


class Batches:
    """One minibatch of random images, repeated `steps` times."""

    seed, device = 0, None

    def __init__(self, backend, batch, shape=(3, 32, 32), steps=1):
        rng = np.random.default_rng(0)
        if backend not in ("torch", "mxnet"):
            shape = (*shape[1:], shape[0])
        X = rng.standard_normal((batch, *shape), np.float32)
        y = rng.integers(0, 10, batch)
        self.batches = [[_tensor(backend, a) for a in (X, y)]] * steps

    def train_dataloader(self):
        """A list of batches, all the same one."""
        return self.batches

    def val_dataloader(self):
        """The same batch, once."""
        return self.batches[:1]


def measure(backend, depth, mode, batch, steps, num_gpus=0):
    """MiB of a step, its median seconds, and what produced them."""
    d2l = importlib.import_module(f"d2lext.{backend}")
    trainer = d2l.Trainer(max_epochs=1, num_gpus=num_gpus, precision="fp32")
    num_convs = (depth - 4) // 6
    model = d2l.create_model(
        "densenet_bc_100_12",
        arch=(num_convs,) * 3,
        memory_efficient=mode == "efficient",
    )
    ours.prepare(trainer, model, Batches(backend, batch))
    data = trainer.prepare_batch(trainer.sample)
    meter = meters.of(backend, trainer)

    def step():
        logged = trainer.train_step(data)
        ours.wait(backend, trainer, logged)
        return float(next(iter(logged.values())))

    meter.start()
    start = time.perf_counter()
    step()
    first, seconds = time.perf_counter() - start, []
    meter.forget_peak()
    for _ in range(steps):
        start = time.perf_counter()
        loss = step()
        seconds.append(time.perf_counter() - start)
    return {
        "memory_mib": meter.mib(),
        "step_s": statistics.median(seconds),
        "first_s": first,
        "loss": loss,
        "versions": provenance.versions(*trainer.distributions),
    }


def _tensor(backend, array):
    if backend == "torch":
        return importlib.import_module("torch").from_numpy(array)
    if backend == "tensorflow":
        return importlib.import_module("tensorflow").constant(array)
    if backend == "jax":
        dtype = np.float32 if array.dtype == np.float32 else np.int32
        return importlib.import_module("jax.numpy").asarray(array.astype(dtype))
    return importlib.import_module("mxnet").np.array(array, dtype=array.dtype)


def main(backend, depth, mode, batch, steps):
    """Print one measurement, as JSON."""
    print(json.dumps(measure(backend, int(depth), mode, int(batch), int(steps))))


if __name__ == "__main__":
    main(*sys.argv[1:])
