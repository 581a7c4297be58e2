"""A process that trains on request and sleeps otherwise.

    python -m benchmarks.worker stock torch

It reads requests from standard input, one JSON object per line, and answers each with one
on the original standard output. Standard library only: a side's module decides what is
imported. compare.py decides which process does what, and when.
"""

import importlib
import json
import os
import sys
import time
from importlib import metadata

# Distributions whose name differs from the module's.
_DISTRIBUTIONS = {"tensorflow": ("tensorflow-cpu", "tensorflow")}


def timed(run, turn_s, step_s):
    """Seconds per step of `run(steps)`, over as many steps as take about `turn_s`.

    `step_s` is the duration of an earlier step.
    """
    steps = max(1, round(turn_s / step_s))
    start = time.perf_counter()
    run(steps)
    return {"step_s": (time.perf_counter() - start) / steps, "steps": steps}


class Training:
    """A side with `batches()`, `step(batch)` and `wait()`, as in benchmarks.stock."""

    def __init__(self, module, side):
        self.module, self.side = module, side
        self.step_s = float("inf")  # before the first one

    @property
    def versions(self):
        """The libraries whose versions the result reports."""
        return getattr(self.side, "versions", None) or self.module.VERSIONS

    def prepare(self):
        """Take a batch and make the first step, which builds and compiles."""
        self.batch = next(iter(self.side.batches()))
        start = time.perf_counter()
        self._step(1)
        first = time.perf_counter() - start
        self._step(2)
        self.step(turn_s=0)
        num_params = self.module.num_params(self.side)
        details = getattr(self.side, "details", {"precision": "fp32"})
        return {"first_s": first, "num_params": num_params, **details}

    def step(self, turn_s):
        """Seconds per step, over as many on the same batch as take about `turn_s`.

        The previous turn's speed determines their number, which is at least one.
        """
        turn = timed(self._step, turn_s, self.step_s)
        self.step_s = turn["step_s"]
        return turn

    def epoch(self, batches, lead):
        """Start an epoch and train on its first batches.

        `start_s` is the time until the first batch is ready, `batch_s` the mean time of
        the following ones, each with its data. The mean excludes the first `lead`, during
        which worker processes fill their queues, once per epoch, and slow training.
        """
        start = time.perf_counter()
        loader = self.side.batches()
        batch = next(loader)
        ready = time.perf_counter()
        start_s, count = ready - start, 0
        self.side.step(batch)
        for count, batch in enumerate(loader, 1):
            if count == lead:
                self.side.wait()
                ready = time.perf_counter()
            if count == lead + batches:
                break
            self.side.step(batch)
        else:
            count += 1  # the epoch's end
        self.side.wait()
        batch_s = (time.perf_counter() - ready) / (count - lead)
        del loader, batch  # ends its worker processes and threads, if any
        return {"start_s": start_s, "batch_s": batch_s, "batches": count - lead}

    def _step(self, steps):
        for _ in range(steps):
            self.side.step(self.batch)
        self.side.wait()


def _start(kind, name, options):
    """The side's object and the module that it comes from."""
    if kind == "stock":
        import numpy as np

        module = importlib.import_module(f"benchmarks.stock.{name}")
        with np.load(options["data"]) as data:
            images, labels = data["images"], data["labels"]
        if options["num_images"]:
            images = images[: options["num_images"]]
            labels = labels[: options["num_images"]]
        return Training(module, module.start(images, labels))
    module = importlib.import_module(f"benchmarks.{kind}")
    if kind == "ours":
        side = module.start(name, options["num_images"], options["precision"])
        return Training(module, side)
    return module.start(name, options)


def _answer(side, request):
    arguments = {k: v for k, v in request.items() if k != "do"}
    return getattr(side, request["do"])(**arguments)


def versions(names):
    """The versions of libraries, from their distributions' metadata."""
    result = {}
    for name in names:
        for distribution in _DISTRIBUTIONS.get(name, (name,)):
            try:
                result[name] = metadata.version(distribution)
                break
            except metadata.PackageNotFoundError:
                continue
    return result


def main(kind, name):
    """Serve one side's requests until standard input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keeps frameworks' output apart from replies
    side = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "start":
                side = _start(kind, name, request["options"])
                reply = {"versions": versions(side.versions)}
            else:
                reply = _answer(side, request)
        except ImportError as error:
            reply = {"missing": str(error)}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
