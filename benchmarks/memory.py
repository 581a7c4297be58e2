"""Memory and time of a training step, plain and with `memory_efficient`.

    python -m benchmarks.memory --backend torch

DenseNet-BC of growth rate 12 on images of 3x32x32, in float32, by the book's trainer.
Each measurement is a process of its own. While it runs, its resident memory is read
twenty times a second, and it is ended above LIMIT_GIB: limits of the system count
addresses, of which JAX and TensorFlow reserve more than they use. The batch is the
largest that the plain network of the last depth fits, rounded down to 4 images.

The memory of a step is the system's high-water mark of resident memory during steps,
less what was resident before the first one. What compilation took only for itself is
given back before the mark is reset.
"""

import argparse
import contextlib
import ctypes
import importlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from d2lext.book.backends import IDS
from d2lext.core import machine, provenance

LIMIT_GIB, PROBE, STEPS = 4, 8, 5
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
    trainer.seed_framework()
    trainer.prepare_data(Batches(backend, batch))
    trainer.prepare_model(model)
    trainer.prepare_optimizer()
    data = trainer.prepare_batch(trainer.sample)

    def step():
        logged = trainer.train_step(data)
        if backend == "mxnet":
            sys.modules["mxnet"].nd.waitall()
        elif backend == "jax":
            sys.modules["jax"].block_until_ready((trainer.state, logged))
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
    probes = [run(backend, depth, "plain", n, 1, limit_gib) for n in (4, PROBE)]
    if None in probes:
        return 4
    memory = [probe["peak_mib"] for probe in probes]
    each = max(1, (memory[1] - memory[0]) / (PROBE - 4))
    most = 4 + (limit_gib * 1024 - memory[0]) / each
    return max(4, int(most * 0.95) // 4 * 4)  # malloc's holes do not grow evenly


def run(backend, depth, mode, batch, steps, limit_gib):
    """A measurement in a process of its own; None if it went over the limit.

    Raises RuntimeError, with the end of what it wrote, if it failed otherwise.
    """
    settings = [backend, str(depth), mode, str(batch), str(steps)]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.memory", "--measure", *settings],
            cwd=ROOT,
            stdout=out,
            stderr=err,
        )
        peak = 0
        try:
            while child.poll() is None:
                peak = max(peak, _resident("VmRSS", child.pid))
                if peak > limit_gib * 1024:
                    child.kill()
                    child.wait()
                    return None
                time.sleep(0.05)
        finally:
            child.kill()
            child.wait()
        out.seek(0)
        err.seek(0)
        if child.returncode:
            raise RuntimeError(f"{' '.join(settings)}: {err.read()[-800:]}")
        return json.loads(out.read().splitlines()[-1]) | {"peak_mib": peak}


def compare(backend, depths, batch, steps, limit_gib):
    """All depths in both modes, and how memory grows with the depth."""
    if batch is None:
        batch = largest_batch(backend, depths[-1], limit_gib)
    while True:  # the last plain one decides whether the batch fits
        last = run(backend, depths[-1], "plain", batch, steps, limit_gib)
        if last is not None or batch <= 4:
            break
        batch -= 4
    found = {}
    for depth in depths:
        for mode in MODES:
            is_last = (depth, mode) == (depths[-1], "plain")
            print(f"{backend} {depth} {mode}", file=sys.stderr)
            found[f"{depth} {mode}"] = (
                last if is_last else run(backend, depth, mode, batch, steps, limit_gib)
            )
    result = {"batch": batch, "measured": found}
    if len(depths) > 2 and None not in found.values():
        for mode in MODES:
            memory = [found[f"{depth} {mode}"]["memory_mib"] for depth in depths]
            result[f"growth {mode}"] = growth(depths, memory)
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


def markdown(result):
    """The results as a table, a row for each framework and depth."""
    rows = [
        "| framework | batch | depth | plain MiB | efficient MiB | share "
        "| plain s | efficient s | time |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines = []
    for backend, found in result["frameworks"].items():
        if "error" in found:
            lines.append(f"- {backend}: {found['error'].splitlines()[-1]}")
            continue
        for depth in result["depths"]:
            a, b = (found["measured"][f"{depth} {mode}"] for mode in MODES)
            memory = _columns(a, b, "memory_mib", ".0f")
            seconds = _columns(a, b, "step_s", ".2f")
            rows.append(
                f"| {backend} | {found['batch']} | {depth} {memory} {seconds} |"
            )
        for mode in MODES:
            if f"growth {mode}" in found:
                fit = found[f"growth {mode}"]
                lines.append(
                    f"- {backend}, {mode}: depth to the power of {fit['power']:.2f}; a "
                    f"line with {fit['mib_a_layer']:.1f} MiB a layer has R² = "
                    f"{fit['r2']:.4f}"
                )
    where = f"{result['machine']['cpu']}, at most {result['limit_gib']} GiB a process."
    return "\n".join(["# Memory of a training step", "", where, "", *rows, "", *lines])


def parser():
    """The command line."""
    result = argparse.ArgumentParser(prog="memory", description=__doc__.split("\n")[0])
    result.add_argument("--backend", action="append", choices=IDS)
    result.add_argument("--quick", action="store_true", help="one depth, small batch")
    result.add_argument("--limit-gib", type=float, default=LIMIT_GIB)
    result.add_argument("--json", type=Path, metavar="PATH")
    result.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    return result


def main(argv=None):
    """Measure, print a table and write it; returns the exit status."""
    args = parser().parse_args(argv)
    if args.measure:
        backend, depth, mode, batch, steps = args.measure
        print(json.dumps(measure(backend, int(depth), mode, int(batch), int(steps))))
        return 0
    if not Path("/proc/self/status").exists():
        print("memory is measured on Linux only: it is read from /proc")
        return 2
    depths = QUICK_DEPTHS if args.quick else DEPTHS
    result = {
        "command": ["python", "-m", "benchmarks.memory", *(argv or sys.argv[1:])],
        "machine": {
            "cpu": machine.cpu_name(),
            "system": f"{platform.system()} {platform.machine()}",
            "cores": len(os.sched_getaffinity(0)),
        },
        "limit_gib": args.limit_gib,
        "depths": depths,
        "frameworks": {},
    }
    for backend in args.backend or IDS:
        batch = QUICK_BATCH if args.quick else None
        steps = 2 if args.quick else STEPS
        try:
            found = compare(backend, depths, batch, steps, args.limit_gib)
        except RuntimeError as error:
            found = {"error": str(error)}
        result["frameworks"][backend] = found
    print(markdown(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return int(any("error" in found for found in result["frameworks"].values()))


def _columns(a, b, key, form):
    def show(found):
        return format(found[key], form) if found else "over the limit"

    share = f"{b[key] / a[key]:.2f}" if a and b else ""
    return f"| {show(a)} | {show(b)} | {share}"


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


if __name__ == "__main__":
    sys.exit(main())
