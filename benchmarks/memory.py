"""Memory and time of a training step, plain and with `memory_efficient`.

    python -m benchmarks.memory torch 100 efficient 16 5

DenseNet-BC of growth rate 12 on images of 3x32x32, in float32, by the book's trainer.
Each measurement is a process of its own, such as the one above: framework, depth, mode,
batch, steps. While it runs, its resident memory is read twenty times a second, and it is
ended above LIMIT_GIB: limits of the system count addresses, of which JAX and TensorFlow
reserve more than they use. The batch is the largest that the plain network of the last
depth fits, rounded down to 4 images.

The memory of a step is the system's high-water mark of resident memory during steps,
less what was resident before the first one. What compilation took only for itself is
given back before the mark is reset; the compiled program stays and counts, in JAX
0.8 GiB for the deepest network, so LIMIT_GIB leaves room for batches beside it.
"""

import contextlib
import ctypes
import importlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import ours
from benchmarks.report import table
from d2lext.core.frameworks import TITLES
from d2lext.core.training import provenance

LIMIT_GIB, LIMIT_S, PROBE, STEPS = 8, 1200, 8, 5
DEPTHS, QUICK_DEPTHS, QUICK_BATCH = (40, 100, 190), (40,), 8
MODES = ("plain", "efficient")
ROOT = Path(__file__).resolve().parents[1]


class Batches:
    """One minibatch of random images, over and over."""

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
    """One measurement, in this process: MiB of a step and its median seconds."""
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

    before = _resident("VmRSS")
    start = time.perf_counter()
    step()
    first, seconds = time.perf_counter() - start, []
    _forget_the_first()
    for _ in range(steps):
        start = time.perf_counter()
        loss = step()
        seconds.append(time.perf_counter() - start)
    return {
        "memory_mib": _resident("VmHWM") - before,
        "step_s": statistics.median(seconds),
        "first_s": first,
        "loss": loss,
        "versions": provenance.versions(*trainer.distributions),
    }


def largest_batch(backend, depth, limit_gib):
    """The largest multiple of 4 images that the plain network fits, and its numbers."""
    probes = [in_process(backend, depth, "plain", n, 1, limit_gib) for n in (4, PROBE)]
    batch = 4
    if not any("absent" in probe for probe in probes):
        memory = [probe["peak_mib"] for probe in probes]
        each = max(1, (memory[1] - memory[0]) / (PROBE - 4))
        most = 4 + (limit_gib * 1024 - memory[0]) / each
        batch = max(4, int(most) // 4 * 4)
    while True:
        found = in_process(backend, depth, "plain", batch, STEPS, limit_gib)
        if "absent" not in found or batch <= 4:
            return batch, found
        batch = max(4, int(batch * 0.9) // 4 * 4)  # malloc's holes do not grow evenly


def in_process(backend, depth, mode, batch, steps, limit_gib):
    """A measurement in a process of its own, or {"absent": why there is none}."""
    settings = [backend, str(depth), mode, str(batch), str(steps)]
    print(" ".join(settings), file=sys.stderr, flush=True)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.memory", *settings],
            cwd=ROOT,
            stdout=out,
            stderr=err,
        )
        peak, until = 0, time.monotonic() + LIMIT_S
        try:
            while child.poll() is None:
                peak = max(peak, _resident("VmRSS", child.pid))
                if peak > limit_gib * 1024:
                    return {"absent": f"over {limit_gib:g} GiB"}
                if time.monotonic() > until:
                    return {"absent": f"over {LIMIT_S // 60} min"}
                time.sleep(0.05)
        finally:
            child.kill()
            child.wait()
        out.seek(0)
        err.seek(0)
        if child.returncode:
            return {"absent": "failed", "said": err.read()[-800:]}
        return json.loads(out.read().splitlines()[-1]) | {"peak_mib": peak}


def compare(backend, depths, batch, steps, limit_gib):
    """All depths in both modes, and how memory grows with the depth."""
    found = {}
    if batch is None:
        batch, found[f"{depths[-1]} plain"] = largest_batch(
            backend, depths[-1], limit_gib
        )
    for depth in depths:
        for mode in MODES:
            if (key := f"{depth} {mode}") not in found:
                found[key] = in_process(backend, depth, mode, batch, steps, limit_gib)
    result = {"batch": batch, "measured": found}
    for mode in MODES:
        memory = [found[f"{depth} {mode}"].get("memory_mib") for depth in depths]
        if len(depths) > 2 and None not in memory:
            result[f"growth {mode}"] = growth(depths, memory)
    if all("absent" in measured for measured in found.values()):
        first = next(iter(found.values()))
        result["absent"] = first.get("said", first["absent"])
    return result


def growth(depths, memory):
    """A line through memory over depth, and the power of the depth that fits it."""
    slope, start = np.polyfit(depths, memory, 1)
    rest = np.square(np.polyval([slope, start], depths) - memory).sum()
    r2 = 1 - rest / np.square(np.subtract(memory, np.mean(memory))).sum()
    logs = np.log(np.maximum(memory, 1))
    return {
        "mib_a_layer": float(slope),
        "r2": float(r2),
        "power": float(np.polyfit(np.log(depths), logs, 1)[0]),
    }


def run(backends, machine, quick=False):
    """Measure each framework; with `quick` one depth and few images.

    Raises RuntimeError where there is no /proc to read memory from.
    """
    if not Path("/proc/self/status").exists():
        raise RuntimeError("memory is measured on Linux only: it is read from /proc")
    depths, batch, steps = DEPTHS, None, STEPS
    if quick:
        depths, batch, steps = QUICK_DEPTHS, QUICK_BATCH, 2
    return {
        "machine": machine,
        "limit_gib": LIMIT_GIB,
        "depths": depths,
        "frameworks": {
            backend: compare(backend, depths, batch, steps, LIMIT_GIB)
            for backend in backends
        },
    }


def markdown(result):
    """The results as a page of Markdown."""
    head = ["", "batch", "depth", "plain, MiB", "efficient, MiB", "share"]
    rows = [[*head, "plain, s", "efficient, s", "time"]]
    lines = []
    for backend, found in result["frameworks"].items():
        for depth in result["depths"]:
            a, b = (found["measured"][f"{depth} {mode}"] for mode in MODES)
            row = [TITLES[backend], str(found["batch"]), str(depth)]
            row += _columns(a, b, "memory_mib", ".0f")
            rows.append(row + _columns(a, b, "step_s", ".2f"))
        for mode in MODES:
            if f"growth {mode}" in found:
                fit = found[f"growth {mode}"]
                lines.append(
                    f"- {TITLES[backend]}, {mode}: depth to the power of "
                    f"{fit['power']:.2f}; a line with {fit['mib_a_layer']:.1f} MiB a "
                    f"layer has R² = {fit['r2']:.4f}"
                )
    where = (
        f"DenseNet-BC, growth rate 12, images of 3x32x32, fp32; "
        f"{result['machine']['cpu']}; at most {result['limit_gib']} GiB a process"
    )
    parts = ["# Memory of a training step", where, table(rows)]
    return "\n\n".join(parts + ["\n".join(lines)] * bool(lines)) + "\n"


def _columns(a, b, key, form):
    """What was found plain and efficient, and the latter as a share of the former."""
    shown = [found.get("absent") or format(found[key], form) for found in (a, b)]
    known = "absent" not in a and "absent" not in b
    return [*shown, f"{b[key] / a[key]:.2f}" if known else ""]


def _tensor(backend, array):
    if backend == "torch":
        return importlib.import_module("torch").from_numpy(array)
    if backend == "tensorflow":
        return importlib.import_module("tensorflow").constant(array)
    if backend == "jax":
        dtype = np.float32 if array.dtype == np.float32 else np.int32
        return importlib.import_module("jax.numpy").asarray(array.astype(dtype))
    return importlib.import_module("mxnet").np.array(array, dtype=array.dtype)


def _resident(key, pid="self"):
    """MiB of VmRSS, now, or VmHWM, at most; 0 for a process that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(rf"{key}:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0


def _forget_the_first():
    """Give back what lies idle after the first step, and begin a new high-water mark."""
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def main(backend, depth, mode, batch, steps):
    """Print one measurement, as JSON."""
    print(json.dumps(measure(backend, int(depth), mode, int(batch), int(steps))))


if __name__ == "__main__":
    main(*sys.argv[1:])
