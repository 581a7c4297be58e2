"""Meters of a step's memory: the process' own on a CPU, the framework's on a card.

Each has `start()` before the first step, `forget_peak()` after it, and then `mib()`, the
most that was in use since beyond what was in use at the start.
"""

import contextlib
import ctypes
import re
import sys
from pathlib import Path

MIB = 2**20


def of(backend, trainer):
    """The meter for the device on which a trainer trains."""
    return Card(backend, trainer.device) if trainer.gpus else Resident()


class Resident:
    """What the system counts. Memory that only compilation needed does not count."""

    def start(self):
        self.before = resident_mib("VmRSS")

    def forget_peak(self):
        """Return idle memory, and reset the high-water mark."""
        with contextlib.suppress(OSError, AttributeError):  # not glibc
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")

    def mib(self):
        return resident_mib("VmHWM") - self.before


class Card:
    """What a framework says of the card's memory that it has given to tensors.

    JAX cannot forget a peak, so that its first step counts, with what it tried out while
    it compiled. MXNet tells none, which raises ValueError.
    """

    def __init__(self, backend, device):
        if backend == "mxnet":
            raise ValueError("MXNet does not tell how much of a card's memory it uses")
        self.backend, self.device = backend, device
        self.framework = sys.modules[backend]

    def start(self):
        self.before = self._bytes()[0]

    def forget_peak(self):
        if self.backend == "torch":
            self.framework.cuda.reset_peak_memory_stats(self.device)
        elif self.backend == "tensorflow":
            self.framework.config.experimental.reset_memory_stats("GPU:0")

    def mib(self):
        return (self._bytes()[1] - self.before) / MIB

    def _bytes(self):
        """What is in use now, and the most that was."""
        if self.backend == "torch":
            cuda = self.framework.cuda
            now, peak = cuda.memory_allocated, cuda.max_memory_allocated
            return now(self.device), peak(self.device)
        if self.backend == "jax":
            stats = self.device.memory_stats()
            return stats["bytes_in_use"], stats["peak_bytes_in_use"]
        stats = self.framework.config.experimental.get_memory_info("GPU:0")
        return stats["current"], stats["peak"]


def resident_mib(key, pid="self"):
    """A process's resident memory: VmRSS (now) or VmHWM (the peak); 0 once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    size = re.search(rf"{key}:\s+(\d+) kB", status)
    return int(size[1]) / 1024 if size else 0
