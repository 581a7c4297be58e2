"""The choice of a device: a GPU where there is one, else the CPU; why there is none."""

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from d2lext.core.machine import pci


class Devices:
    """The devices of a framework, by its functions `cpu()`, `gpu(i)` and `num_gpus()`."""

    def __init__(
        self,
        cpu: Callable[[], Any],
        gpu: Callable[[int], Any],
        num_gpus: Callable[[], int],
    ) -> None:
        self.cpu, self.gpu, self.num_gpus = cpu, gpu, num_gpus

    def try_gpu(self, i: int = 0) -> Any:
        """The `i`-th GPU if there is one, else the CPU."""
        return self.gpu(i) if i < self.num_gpus() else self.cpu()

    def try_all_gpus(self) -> list[Any]:
        """All GPUs, or [the CPU] if there is none."""
        return [self.gpu(i) for i in range(self.num_gpus())] or [self.cpu()]


def why_no_gpu(
    library: str, has_cuda: bool, problem: str = "", remedy: str = ""
) -> str:
    """A sentence on why `library` finds no GPU, and what to do; "" if none is seen.

    `has_cuda` says whether the build that is installed could use NVIDIA's, `problem` why
    it cannot use the one that it has found, `remedy` how it can use the one that the
    driver serves. No others are looked for: a processor's own graphics are no reason to
    say anything.
    """
    if problem:
        return problem
    if name := _nvidia_gpu():
        if not has_cuda:
            return (
                f"{library} is installed without CUDA, which this machine's {name} needs: "
                "install its build for CUDA"
            )
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is not None and visible.strip() in ("", "-1", "NoDevFiles"):
            return f"CUDA_VISIBLE_DEVICES={visible!r} hides the GPU {name}: unset it"
        return f"{library} cannot use the GPU {name}: {remedy or 'update its driver'}"
    if pci.NVIDIA in pci.makers():
        return (
            "This machine has an NVIDIA GPU, which cannot be reached from here: install "
            "its driver, or start the container with --gpus all"
        )
    return ""


def _nvidia_gpu() -> str:
    """The name of the first GPU that NVIDIA's driver serves; empty if there is none."""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=10)
        if run.returncode == 0:
            return next(iter(run.stdout.splitlines()), "").strip()
    return ""
