"""Runs the parts, each in its process with a time limit, and writes after each fact."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.gpu import page
from benchmarks.processes import ROOT, environment
from benchmarks.worker import versions
from d2lext.core.data import download, fashion_mnist

# Seconds of a part's process, if ten minutes are allowed; more or fewer in proportion.
LIMITS = {
    "step": 120,
    "parity": 90,
    "ours": 120,
    "stock": 60,
    "memory": 60,
    "resume": 75,
}
ORDER = ("torch", "jax", "tensorflow", "mxnet")  # in which people look
WORKER = ("-m", "benchmarks.gpu.worker")
LEAST_S = 5  # with less time left, nothing is started
_ASK_GPU = "--query-gpu=name,driver_version,compute_cap,memory.total"
_PACKAGES = (
    *("torch", "triton", "jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin"),
    *("flax", "optax", "tensorflow", "keras", "mxnet"),
    *("nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "numpy"),
)


def run(backends, machine, write, minutes=10, quick=False):
    """Measure as much as fits into `minutes`; `write` gets the result after each fact.

    With `quick` everything is tiny, and the CPU stands in for a card that is missing.
    """
    backends = sorted(backends, key=ORDER.index)
    begin, limit = time.monotonic(), 60 * minutes
    result = {
        "what": "gpu",
        "machine": machine | {"gpus": gpus(), "versions": versions(_PACKAGES)},
        "minutes": minutes,
        "quick": quick,
        "frameworks": {backend: {} for backend in backends},
    }

    def part(name, backend, key=None, **settings):
        """The facts of one process, as they come."""
        allowed = min(LIMITS[name] * minutes / 10, limit - (time.monotonic() - begin))
        facts = result["frameworks"][backend].setdefault(key or name, {})
        if allowed < LEAST_S:
            facts["ended"] = "not begun: no time left"
        else:
            if name == "stock":
                settings["seconds"] = 0.7 * allowed  # the rest is for its import
            _process(name, backend, settings | {"quick": quick}, allowed, facts, told)
        told()
        return facts

    def told():
        result["seconds"] = time.monotonic() - begin
        write(result, page.markdown(result))

    told()
    present = []
    for backend in backends:
        facts = part("step", backend)
        if facts.get("num_gpus") or (quick and "num_gpus" in facts):
            present.append(backend)
    for backend in present:
        part("parity", backend)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fashion-mnist.npz"
        for backend in present:
            part("ours", backend)
            if path.exists() or _save_data(path):
                part("stock", backend, data=str(path))
        for backend in present:
            for mode in ("plain", "efficient"):
                part("memory", backend, f"memory {mode}", mode=mode)
        for backend in present:
            file = str(Path(folder) / f"{backend}.npz")
            part("resume", backend, "killed", checkpoint=file, is_killed=True)
            part("resume", backend, checkpoint=file, is_killed=False)
        for backend in present:
            part("step", backend, "step in fp32", precision="fp32")
    return result


def gpus():
    """What NVIDIA's driver says of each card: name, driver, capability, memory."""
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", _ASK_GPU, "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return ["nvidia-smi did not answer within 20 s"]
    return (answer.stdout + answer.stderr).strip().splitlines()


def _process(name, backend, settings, allowed, facts, told):
    """Collect the facts of a part's process, which is ended when its time is over."""
    print(f"{backend}: {name}, at most {allowed:.0f} s", file=sys.stderr, flush=True)
    command = [sys.executable, *WORKER, name, backend]
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        with open(out, "w") as facts_file, open(err, "w") as errors:
            child = subprocess.Popen(
                [*command, json.dumps(settings)],
                cwd=ROOT,
                env=_environment(),
                stdout=facts_file,
                stderr=errors,
                start_new_session=True,  # so that its own processes end with it
            )
        count, status = 0, None
        try:
            while True:
                status = child.poll()
                lines = out.read_text().split("\n")[:-1]
                for line in lines[count:]:
                    facts |= json.loads(line)
                if len(lines) > count:
                    told()
                count = len(lines)
                if status is not None:
                    break
                if time.monotonic() - start > allowed:
                    facts["ended"] = f"stopped after {allowed:.0f} s"
                    break
                time.sleep(0.05)
        finally:
            _end(child)
        facts["took_s"] = time.monotonic() - start
        if status:
            facts["ended"] = f"failed with status {status}"
        # Warnings, too: why a step is slow, say. The page has only those of failures.
        if said := err.read_text(errors="replace").splitlines()[-12:]:
            facts["said"] = said


def _environment():
    """The variables for a part: only pooch would know where the cache is."""
    variables = environment()
    if find_spec("pooch") is None:
        variables.setdefault("D2LEXT_CACHE", f"{tempfile.gettempdir()}/d2lext")
    return variables


def _end(child):
    if child.poll() is None:
        if os.name == "posix":
            os.killpg(child.pid, signal.SIGKILL)
        child.kill()
    child.wait()


def _save_data(path):
    """Save Fashion-MNIST for d2l's side, the chapter's 50,000 images; False if it fails.

    Ours has then said why.
    """
    try:
        source = fashion_mnist.load()
    except download.DataError:
        return False
    images, labels = source.train_images[:50_000], source.train_labels[:50_000]
    np.savez(path, images=images, labels=labels)
    return True
