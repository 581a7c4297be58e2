"""The learning rate of a step, as a trainer's schedule scales that of the optimizer."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from d2lext.core.checks import check_not_negative

Place = tuple[Any, str]  # an object or a dict, and the name of the rate in it


def share(trainer: Any) -> float:
    """The share of the training that is over before the next step, 0 <= share < 1.

    It is that of `max_epochs`, also in a run that is shortened. Within an epoch of unknown
    length it stays.
    """
    expected = trainer.expected_batches(train=True) or 1
    done = min(len(trainer.current.batches), expected - 1)
    return (trainer.epoch * expected + done) / (trainer.max_epochs * expected)


def factor(trainer: Any) -> float | None:
    """What the schedule makes of the learning rate in the next step; None without one.

    Raises ValueError unless it is a finite number >= 0.
    """
    if trainer.schedule is None:
        return None
    t = share(trainer)
    value = trainer.schedule(t)
    if getattr(value, "shape", None) == ():  # a tensor that holds one number
        value = float(value)
    check_not_negative(**{f"schedule({t:.4g})": value})
    return float(value)


@contextlib.contextmanager
def scaled(places: Iterable[Place], factor: Any) -> Iterator[None]:
    """Within, the rates at the `places` are multiplied; `factor` None leaves them.

    A rate may be a function, whose values are multiplied.
    """
    if factor is None:
        yield
        return
    before = [(*place, _get(*place)) for place in places]
    for owner, name, rate in before:
        _put(owner, name, _times(rate, factor))
    try:
        yield
    finally:
        for owner, name, rate in before:
            _put(owner, name, rate)


def place_in(optim: Any) -> list[Place]:
    """The attribute `lr` of a reader's own optimizer; ValueError if there is none."""
    if not hasattr(optim, "lr"):
        raise ValueError(
            "a schedule needs an optimizer of the framework's, or one whose steps read its "
            f"attribute lr, got {type(optim).__name__}: give it one, or train without "
            "schedule"
        )
    return [(optim, "lr")]


def _times(rate: Any, factor: Any) -> Any:
    if callable(rate):
        return lambda *args: rate(*args) * factor
    return rate * factor


def _get(owner: Any, name: str) -> Any:
    return owner[name] if isinstance(owner, dict) else getattr(owner, name)


def _put(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, dict):
        owner[name] = value
    else:
        setattr(owner, name, value)
