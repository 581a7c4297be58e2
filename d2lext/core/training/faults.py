"""Faults in data that explain a result which is not finite: read only after it."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np


def find(trainer: Any, make_batches: Callable[[], Iterable]) -> str | None:
    """The first fault in the batches, in words, and its remedy; None if there is none."""
    try:
        for number, batch in enumerate(make_batches(), 1):
            if fault := _in_batch(trainer, trainer.prepare_batch(batch)):
                what, i, remedy = fault
                return f"{what} at index {i} of batch {number}: {remedy}"
    # A loader may be read only once, or hold other things than arrays: nothing is known.
    except Exception:
        return None
    return None


def _in_batch(trainer, batch):
    """(what is wrong, the index of its example, the remedy); None if nothing is."""
    *inputs, y = map(trainer.numpy, batch)
    remedy = "correct the example or leave it out"
    for X in inputs:
        if (i := _first(~np.isfinite(X))) is not None:
            return str(X[i][~np.isfinite(X[i])].flat[0]), i, remedy
    if hasattr(trainer.model, "accuracy"):
        *examples, classes = trainer.output_shape(batch)
        is_class = (y == np.floor(y)) & (y >= 0) & (y < classes)
        # Otherwise they are not classes: several for each example, for instance.
        if math.prod(examples) == y.size and (i := _first(~is_class)) is not None:
            label = y[i][~is_class[i]].flat[0]
            remedy = f"take labels from 0 to {classes - 1}, or set num_classes"
            return f"the label {label}", i, remedy
    if (i := _first(~np.isfinite(y))) is not None:
        return f"the label {y[i]}", i, remedy
    return None


def _first(bad):
    """The first index along the first axis with a True; None if there is none."""
    found = bad.reshape(len(bad), -1).any(axis=1)
    return int(found.argmax()) if found.any() else None
