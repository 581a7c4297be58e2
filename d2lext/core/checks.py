"""Checks a caller's arguments; each error states the rule, the value and the remedy."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

_SEQUENCES = {"arch": (6, 12, 24, 16), "resize": (96, 96)}  # each with an example


def check_positive(**values: Any) -> None:
    """Raise ValueError unless each value is an integer >= 1.

    `arch` and `resize` must be tuples or lists of such.

    >>> check_positive(growth_rate=0)
    Traceback (most recent call last):
    ValueError: growth_rate must be an integer >= 1, got 0
    """
    for name, value in values.items():
        if name not in _SEQUENCES:
            check_integer(1, **{name: value})
            continue
        is_sequence = isinstance(value, Sequence) and not isinstance(
            value, (str, bytes)
        )
        if not is_sequence or not value or not all(_is_integer(v, 1) for v in value):
            raise ValueError(
                f"{name} must hold at least one integer, each >= 1, got {value!r}: "
                f"pass a tuple such as {_SEQUENCES[name]}"
            )


def check_integer(least: int, **values: object) -> None:
    """Raise ValueError unless each value is an integer >= `least`."""
    for name, value in values.items():
        if not _is_integer(value, least):
            raise ValueError(f"{name} must be an integer >= {least}, got {value!r}")


def check_seed(seed: Any) -> None:
    """Raise ValueError unless `seed` is one that every framework takes."""
    if not _is_integer(seed, 0) or seed >= 2**32:
        raise ValueError(
            f"seed must be an integer >= 0 and < 2**32, got {seed!r}: pass any of these, "
            "for example 0"
        )


def check_share(**values: Any) -> None:
    """Raise ValueError unless each value is a number > 0 and <= 1."""
    for name, value in values.items():
        if not is_number(value) or not 0 < value <= 1:
            raise ValueError(f"{name} must be a number > 0 and <= 1, got {value!r}")


def check_dropout(dropout: Any) -> None:
    """Raise ValueError unless `dropout` is a probability that leaves something."""
    if not is_number(dropout) or not 0 <= dropout < 1:
        raise ValueError(f"dropout must be >= 0 and < 1, got {dropout!r}")


def check_not_negative(**values: Any) -> None:
    """Raise ValueError unless each value is a finite number >= 0."""
    for name, value in values.items():
        if not is_number(value) or not 0 <= value < math.inf:
            raise ValueError(f"{name} must be a finite number >= 0, got {value!r}")


def check_choice(choices: Sequence[object], **values: object) -> None:
    """Raise ValueError unless each value is one of `choices`."""
    for name, value in values.items():
        # Types too: 1 == True, and an array equals nothing as a whole.
        if not any(type(value) is type(c) and value == c for c in choices):
            known = ", ".join(map(repr, choices[:-1]))
            raise ValueError(
                f"{name} must be {known} or {choices[-1]!r}, got {value!r}"
            )


def check_mean(**values: Any) -> None:
    """Raise ValueError unless each value, measured on a batch, is one number.

    What a framework knows only as it computes is not checked.
    """
    for name, value in values.items():
        shape = getattr(value, "shape", ())
        try:
            is_one = math.prod(shape) == 1
        except (TypeError, ValueError):  # TensorFlow's None, or not even that
            continue
        if not is_one:
            raise ValueError(
                f"the {name} of a batch must be one number, got the shape "
                f"{tuple(shape)}: take the mean over its examples"
            )


def is_number(value: object) -> bool:
    """Whether `value` is a real number of Python or NumPy; a bool is none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_integer(value: Any, least: int) -> bool:
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    return is_integer and value >= least
