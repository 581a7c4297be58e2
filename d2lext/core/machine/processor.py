"""The processor: its name, its cores, and whether it computes in bfloat16."""

import functools
import os
import platform
from pathlib import Path


def num_cores() -> int:
    """The number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def cpu_name() -> str:
    """The processor's name and the number of cores that this process may use."""
    name = _cpuinfo("model name") or platform.processor() or platform.machine()
    cores = num_cores()
    return f"{name}, {cores} core{'s' if cores != 1 else ''}"


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 faster than float32.

    It does with AVX-512 BF16 or AMX; otherwise libraries emulate it, which is slower.
    """
    return bool({"avx512_bf16", "amx_bf16"} & set(_cpuinfo("flags").split()))


@functools.cache
def _cpuinfo(field: str) -> str:
    """The first processor's `field` as Linux reports it; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    values = (line.partition(":")[2] for line in lines if line.startswith(field))
    return next(values, "").strip()
