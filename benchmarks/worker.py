"""A process that trains when it is told to and sleeps otherwise.

    python -m benchmarks.worker stock torch

It reads requests from standard input, a JSON object a line, and answers each with one
on what was standard output. Standard library only: what a side imports, its own module
decides. Which process is told what, and when, is for compare.py.
"""

import importlib
import json
import os
import sys
import time
from importlib import metadata

# The distribution's name where it is not the module's.
_DISTRIBUTIONS = {"tensorflow": ("tensorflow-cpu", "tensorflow")}


def timed(run, turn_s, step_s):
    """Seconds for one step of `run(steps)`, of as many as take about `turn_s`.

    `step_s` is what a step took the last time.
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
        """The names of the libraries whose versions belong to the result."""
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
        """Seconds for one step, of as many on the same batch as take about `turn_s`.

        By the speed of the turn before; one step at least.
        """
        found = timed(self._step, turn_s, self.step_s)
        self.step_s = found["step_s"]
        return found

    def epoch(self, batches, lead):
        """Begin an epoch and train on its first batches.

        `start_s` passes until the first batch is there, `batch_s` is the mean of those
        that follow, each with its data. The first `lead` are left out of the mean:
        meanwhile worker processes fill their queues, once an epoch, at the expense of
        the training.
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
        del loader, batch  # its worker processes and threads end here, if it has any
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
    """The versions of libraries by their distributions' metadata."""
    found = {}
    for name in names:
        for distribution in _DISTRIBUTIONS.get(name, (name,)):
            try:
                found[name] = metadata.version(distribution)
                break
            except metadata.PackageNotFoundError:
                continue
    return found


def main(kind, name):
    """Serve the requests of one side until standard input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what frameworks print is no reply
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
