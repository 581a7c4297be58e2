"""Advice when training cannot succeed: what is wrong, and what to change."""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from d2lext.core.training import faults, report


def check_any(found: bool, data: Any, part: str) -> None:
    """Raise ValueError unless a batch was `found` in the `part` of the data."""
    if not found:
        raise ValueError(
            f"the {report.name(part)} set must hold at least one batch, got none from "
            f"{type(data).__name__}.{part}_dataloader()"
        )


def check_batches(trainer: Any) -> None:
    """Raise FloatingPointError if a batch not yet drawn had a loss that is not finite."""
    current = trainer.current
    for values, _ in current.batches.floats(current.drawn):
        check_losses(trainer, values, _batches_of_epoch(trainer))


def check_start(trainer: Any) -> None:
    """Raise FloatingPointError if weights to begin with are not finite."""
    if not trainer.weights_are_finite():
        raise FloatingPointError(
            "the weights must be finite before the first step, got NaN or infinity: "
            "create the model anew, or load other weights"
        )


def check_weights(trainer: Any) -> None:
    """Raise FloatingPointError if a parameter or a statistic is not finite.

    The loss can be finite all the same: ReLU turns NaN into 0 in most frameworks.
    """
    if not trainer.weights_are_finite():
        rule = "the weights must stay finite, got NaN or infinity"
        _stop(trainer, rule, "training", _batches_of_epoch(trainer))


def check_losses(
    trainer: Any, values: dict[str, float], batches: Callable[[], Iterable]
) -> None:
    """Raise FloatingPointError if a loss that was measured on `batches` is not finite.

    Other values may be NaN: a metric that is undefined.
    """
    for key, value in values.items():
        if "loss" in key and not math.isfinite(value):
            part = report.name(key.split("_")[0])
            rule = f"the {report.name(key)} must stay finite, got {value}"
            _stop(trainer, rule, part, batches)


def _stop(trainer, rule, part, batches):
    """Raise FloatingPointError with the reason: the data if it is there."""
    when = "" if part == "test" else f" in epoch {trainer.epoch + 1}"
    if fault := faults.find(trainer, batches):
        raise FloatingPointError(f"{rule}{when}: the {part} set has {fault}")
    lr = getattr(trainer.model, "lr", None)
    at = "" if lr is None else f" with lr={lr}"
    advice = "lower the learning rate or set gradient_clip_val"
    if trainer.used_precision == "bf16":
        advice += ", or try precision='fp32'"
    raise FloatingPointError(f"{rule}{when}{at}: {advice}")


def _batches_of_epoch(trainer):
    """A function that reads the training batches of the current epoch again."""
    return lambda: itertools.islice(
        trainer.train_batches(), len(trainer.current.batches)
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
