"""The other end of worker.py: starts a side's process, sends requests, reads answers."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A side must not be cut to a few steps, nor look for modules elsewhere.
_DROPPED = ("D2LEXT_FAST", "D2LEXT_EPOCHS", "D2LEXT_CHECKPOINTS", "PYTHONSAFEPATH")
SETTINGS = ("OMP_NUM_THREADS", "MXNET_OMP_MAX_THREADS", "MALLOC_MMAP_MAX_", "XLA_FLAGS")
# OpenMP's threads keep spinning for up to 0.2 s after their last work.
PAUSE_S = 0.3


def environment():
    """The variables for a process that measures, without those that shorten training."""
    return {k: v for k, v in os.environ.items() if k not in _DROPPED}


class Missing(Exception):
    """A side cannot run: a library is missing; the message says which."""


class Failed(Exception):
    """A side's process ended early; the message ends with its last output."""


class Worker:
    """A process for one side of a comparison; use it as `with Worker(...) as side:`."""

    def __init__(self, kind, name, **options):
        self.label = f"{kind} {name}"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  see close
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", kind, name],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self.versions = self.ask("start", options=options)["versions"]
        except BaseException:
            self.close()
            raise

    def ask(self, do, **arguments):
        """The answer to one request, after a pause that lets other sides go to sleep."""
        time.sleep(PAUSE_S)
        try:
            print(json.dumps({"do": do, **arguments}), file=self._process.stdin)
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
            raise Failed(
                f"the process of {self.label} ended with status {status}:\n"
                + "\n".join(said[-12:])
            )
        reply = json.loads(line)
        if "missing" in reply:
            raise Missing(reply["missing"])
        return reply

    def close(self):
        """End the process."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
