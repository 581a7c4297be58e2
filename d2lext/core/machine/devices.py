"""The choice of a device: a GPU where there is one, else the CPU."""

from collections.abc import Callable
from typing import Any


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
