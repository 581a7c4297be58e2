"""Memory and time of a training step, plain and with `memory_efficient`.

DenseNet-BC with growth rate 12 on 3x32x32 images, in float32, with the book's trainer.
Each measurement is a separate process, `memory_worker`. While it runs, we read its
resident memory twenty times a second, and kill it above LIMIT_GIB: the system's own
limits count addresses, of which JAX and TensorFlow reserve more than they use. The batch
is the largest with which the plain network of the last depth fits, rounded down to a
multiple of 4 images.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.meters import resident_mib
from benchmarks.page import table
from d2lext.core.frameworks import TITLES

LIMIT_GIB = 8  # leaves room for batches beside the deepest network's compiled program
LIMIT_S, PROBE, STEPS = 1200, 8, 5
DEPTHS, QUICK_DEPTHS, QUICK_BATCH = (40, 100, 190), (40,), 8
MODES = ("plain", "efficient")
ROOT = Path(__file__).resolve().parents[1]


def largest_batch(backend, depth, limit_gib):
    """The largest batch, a multiple of 4, at which the plain network fits; its numbers."""
    probes = [in_process(backend, depth, "plain", n, 1, limit_gib) for n in (4, PROBE)]
    batch = 4
    if not any("absent" in probe for probe in probes):
        memory = [probe["peak_mib"] for probe in probes]
        each = max(1, (memory[1] - memory[0]) / (PROBE - 4))
        most = 4 + (limit_gib * 1024 - memory[0]) / each
        batch = max(4, int(most) // 4 * 4)
    while True:
        measured = in_process(backend, depth, "plain", batch, STEPS, limit_gib)
        if "absent" not in measured or batch <= 4:
            return batch, measured
        batch = max(4, int(batch * 0.9) // 4 * 4)  # fragmentation is not proportional


def in_process(backend, depth, mode, batch, steps, limit_gib):
    """A measurement in a separate process, or {"absent": why there is none}."""
    settings = [backend, str(depth), mode, str(batch), str(steps)]
    print(" ".join(settings), file=sys.stderr, flush=True)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.memory_worker", *settings],
            cwd=ROOT,
            stdout=out,
            stderr=err,
        )
        peak, until = 0, time.monotonic() + LIMIT_S
        try:
            while child.poll() is None:
                peak = max(peak, resident_mib("VmRSS", child.pid))
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
    """All depths in both modes, and how memory grows with depth."""
    measured = {}
    if batch is None:
        deepest = depths[-1]
        batch, numbers = largest_batch(backend, deepest, limit_gib)
        measured[f"{deepest} plain"] = numbers
    for depth in depths:
        for mode in MODES:
            if (key := f"{depth} {mode}") not in measured:
                numbers = in_process(backend, depth, mode, batch, steps, limit_gib)
                measured[key] = numbers
    result = {"batch": batch, "measured": measured}
    for mode in MODES:
        memory = [measured[f"{depth} {mode}"].get("memory_mib") for depth in depths]
        if len(depths) > 2 and None not in memory:
            result[f"growth {mode}"] = growth(depths, memory)
    if all("absent" in numbers for numbers in measured.values()):
        first = next(iter(measured.values()))
        result["absent"] = first.get("said", first["absent"])
    return result


def growth(depths, memory):
    """The line and the power of depth that best fit the memory."""
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
    """Measure each framework; with `quick`, one depth and few images.

    Raises RuntimeError if there is no /proc to read memory from.
    """
    if not Path("/proc/self/status").exists():
        raise RuntimeError(
            "memory can be measured only on Linux: it is read from /proc"
        )
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
    """The result as a page of Markdown."""
    head = ["", "batch", "depth", "plain, MiB", "efficient, MiB", "share"]
    rows = [[*head, "plain, s", "efficient, s", "time"]]
    lines = []
    for backend, framework in result["frameworks"].items():
        for depth in result["depths"]:
            a, b = (framework["measured"][f"{depth} {mode}"] for mode in MODES)
            row = [TITLES[backend], str(framework["batch"]), str(depth)]
            row += _columns(a, b, "memory_mib", ".0f")
            rows.append(row + _columns(a, b, "step_s", ".2f"))
        for mode in MODES:
            if f"growth {mode}" in framework:
                fit = framework[f"growth {mode}"]
                lines.append(
                    f"- {TITLES[backend]}, {mode}: depth to the power of "
                    f"{fit['power']:.2f}; a line with {fit['mib_a_layer']:.1f} MiB per "
                    f"layer has R² = {fit['r2']:.4f}"
                )
    where = (
        f"DenseNet-BC, growth rate 12, images of 3x32x32, fp32; "
        f"{result['machine']['cpu']}; at most {result['limit_gib']} GiB per process"
    )
    parts = ["# Memory of a training step", where, table(rows)]
    return "\n\n".join(parts + ["\n".join(lines)] * bool(lines)) + "\n"


def _columns(a, b, key, form):
    """The plain and the efficient numbers, and the latter as a share of the former."""
    cells = [side.get("absent") or format(side[key], form) for side in (a, b)]
    both = "absent" not in a and "absent" not in b
    return [*cells, f"{b[key] / a[key]:.2f}" if both else ""]
