"""What produced a result: machine, versions and the modes that shorten a run."""

import os
import platform
from importlib import import_module
from pathlib import Path

import d2lext


def fast_mode():
    """Whether D2LEXT_FAST asks for a few steps instead of a real training run."""
    return os.environ.get("D2LEXT_FAST", "") not in ("", "0")


def epoch_limit():
    """The number of epochs that D2LEXT_EPOCHS allows, or None."""
    value = os.environ.get("D2LEXT_EPOCHS", "")
    if not value:
        return None
    if not value.isdigit() or int(value) < 1:
        raise ValueError(
            f"D2LEXT_EPOCHS must be an integer >= 1, got {value!r}: unset it to train "
            "as long as the Trainer says"
        )
    return int(value)


def cpu_name():
    """The processor's name and the number of cores that this process may use."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count()
    return f"{name}, {cores} core{'s' if cores != 1 else ''}"


def versions(*packages):
    """The versions of `packages`, NumPy, d2lext and Python, as one line."""
    # Not from the metadata: TensorFlow is also distributed as tensorflow-cpu.
    parts = [f"{p} {import_module(p).__version__}" for p in (*packages, "numpy")]
    python = f"Python {platform.python_version()}"
    return ", ".join([*parts, f"d2lext {d2lext.__version__}", python])
