"""Advice when training cannot succeed: what is wrong, and what to change."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from d2lext.core.training import report


def check_batches(trainer: Any) -> None:
    """Raise FloatingPointError if a batch not yet drawn had a loss that is not finite."""
    current = trainer.current
    for values, _ in current.batches.floats(current.drawn):
        _check_finite(trainer, values)


def check_losses(trainer: Any, values: dict[str, float]) -> None:
    """Raise FloatingPointError if a validation loss is not finite.

    Other values may be NaN: a metric that is undefined.
    """
    _check_finite(trainer, {k: v for k, v in values.items() if "loss" in k})


def _check_finite(trainer: Any, values: dict[str, float]) -> None:
    for key, value in values.items():
        if math.isfinite(value):
            continue
        lr = getattr(trainer.model, "lr", None)
        at = "" if lr is None else f" with lr={lr}"
        advice = "lower the learning rate or set gradient_clip_val"
        if trainer.used_precision == "bf16":
            advice += ", or try precision='fp32'"
        raise FloatingPointError(
            f"the {report.name(key)} must stay finite, got {value} in epoch "
            f"{trainer.epoch + 1}{at}: {advice}"
        )


@contextlib.contextmanager
def on_memory(trainer: Any) -> Iterator[None]:
    """Raise MemoryError with advice if a framework runs out of memory within the block."""
    try:
        yield
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        more = ""
        if not getattr(trainer.model, "memory_efficient", True):
            more = ", or create the model with memory_efficient=True"
        raise MemoryError(
            f"a training step must fit into the memory of {trainer.device_name()}, got "
            f"a batch_size of {len(trainer.sample[-1])} that does not: lower "
            f"batch_size{more}"
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    """Whether a framework's exception says that memory is exhausted."""
    signs = ("RESOURCE_EXHAUSTED", "out of memory", "can't allocate memory")
    kinds = ("OutOfMemoryError", "ResourceExhaustedError")
    return type(error).__name__ in kinds or any(s in str(error) for s in signs)
