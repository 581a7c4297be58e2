"""Times two sides in alternating turns, so that other load on the machine affects both.

The result is raw numbers; summary.py and page.py interpret them.
"""

import contextlib
import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import processes
from benchmarks.processes import Failed, Missing, Worker
from benchmarks.summary import BATCHES_PER_EPOCH
from d2lext.core.data import fashion_mnist
from d2lext.core.machine import processor

STEP_IMAGES = 512
# A turn is long enough for the wake-up after the other side's turn not to matter.
STEP = {"rounds": 7, "turn_s": 3}
PEERS = {"rounds": 7, "turn_s": 3}
EPOCH = {"rounds": 5, "batches": 3, "lead": 2}
QUICK = {"rounds": 2, "turn_s": 0, "batches": 2}


def machine():
    """The processor, the system, and settings from environment variables."""
    return {
        "cpu": processor.cpu_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "set": {k: os.environ[k] for k in processes.SETTINGS if k in os.environ},
    }


def run(what, backends, precision="auto", quick=False, full=False):
    """Measure `what` (step, epoch or peers) for each backend; returns raw timings."""
    settings = dict({"step": STEP, "epoch": EPOCH, "peers": PEERS}[what])
    if full and what == "epoch":
        settings = {"rounds": 1, "batches": BATCHES_PER_EPOCH, "lead": 0}
    if quick:
        settings |= {k: v for k, v in QUICK.items() if k in settings}
    result = {
        "what": what,
        "machine": machine(),
        "settings": settings | {"precision": precision},
        "rates": [],
        "frameworks": {},
    }
    with tempfile.TemporaryDirectory() as folder, _rates(result) as measure:
        data = _data(Path(folder)) if what != "peers" else {}
        result["settings"] |= {"images": data.get("origin")}
        for backend in backends:
            try:
                timings = _framework(what, backend, data, settings, precision, measure)
            except (Missing, Failed) as error:
                timings = {"absent": str(error)}
                _say(f"{backend}: skipped, {error}")
            result["frameworks"][backend] = timings
    return result


def _framework(what, backend, data, settings, precision, measure):
    with contextlib.ExitStack() as stack:
        if what == "peers":
            both = stack.enter_context(Worker("peers", backend))
            sides = {which: (both, {"which": which}) for which in ("peer", "ours")}
        else:
            images = STEP_IMAGES if what == "step" else 50_000
            options = {"num_images": images, "precision": precision}
            stock = Worker("stock", backend, data=data["path"], **options)
            stack.enter_context(stock)
            ours = stack.enter_context(Worker("ours", backend, **options))
            sides = {"stock": (stock, {}), "ours": (ours, {})}
        timings = {}
        for name, (worker, chosen) in sides.items():
            timings[name] = worker.ask("prepare", **chosen)
            timings[name] |= {"versions": worker.versions, "rounds": []}
            _say(f"{backend}: first step of {name} {timings[name]['first_s']:.1f} s")
        for number in range(1, settings["rounds"] + 1):
            measure()
            times = []
            for name, (worker, chosen) in sides.items():
                if what == "epoch":
                    length = {k: settings[k] for k in ("batches", "lead")}
                    turn = worker.ask("epoch", **length)
                else:
                    turn = worker.ask("step", turn_s=settings["turn_s"], **chosen)
                timings[name]["rounds"].append(turn)
                times.append(f"{name} {turn.get('step_s', turn.get('batch_s')):.3f} s")
            _say(
                f"{backend}: round {number} of {settings['rounds']}, {', '.join(times)}"
            )
        return timings


@contextlib.contextmanager
def _rates(result):
    """A function that measures the machine's rates once per round."""
    try:
        worker = Worker("rates", "torch")
    except (Missing, Failed) as error:
        result["rates_absent"] = str(error)
        yield lambda: None
        return
    with worker:
        worker.ask("prepare")
        yield lambda: result["rates"].append(worker.ask("measure"))


def _data(folder):
    """Fashion-MNIST's training images in a file for the stock side."""
    source = fashion_mnist.load()
    path = folder / "fashion-mnist.npz"
    np.savez(path, images=source.train_images, labels=source.train_labels)
    return {"path": str(path), "origin": source.origin}


def _say(line):
    print(line, file=sys.stderr, flush=True)
