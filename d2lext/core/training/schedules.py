"""Schedules of the learning rate.

A schedule is a function of `t`, the share of the training that is over, 0 <= t < 1, which
returns a factor for the learning rate of the next step. These are the usual ones; any
function will do.
"""

import math
from dataclasses import dataclass
from typing import Any

from d2lext.core.checks import check_not_negative, is_number


@dataclass(frozen=True)
class StepSchedule:
    """1 at first, and `factor` times as much from each of the `milestones` on.

    The defaults are those of DenseNet (Huang et al., 2017, Section 4.2). With `warmup`,
    the factor rises from 0 within this share of the training, along a line.

    >>> schedule = StepSchedule(milestones=(0.5, 0.75), factor=0.5)
    >>> [schedule(t) for t in (0, 0.4, 0.5, 0.8)]
    [1.0, 1.0, 0.5, 0.25]
    """

    milestones: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1
    warmup: float = 0

    def __post_init__(self) -> None:
        check_not_negative(factor=self.factor)
        _check_warmup(self.warmup)
        given: Any = self.milestones
        milestones = tuple(given) if hasattr(given, "__iter__") else (given,)
        if not all(is_number(m) and 0 < m < 1 for m in milestones):
            raise ValueError(
                "milestones must be shares of the training, numbers > 0 and < 1, got "
                f"{given!r}: divide epochs by max_epochs"
            )
        object.__setattr__(self, "milestones", milestones)

    def __call__(self, t: float) -> float:
        passed = sum(t >= milestone for milestone in self.milestones)
        return min(1.0, t / self.warmup if self.warmup else 1.0) * self.factor**passed


@dataclass(frozen=True)
class CosineSchedule:
    """From 1 to `final` along half a cosine (Loshchilov and Hutter, 2017).

    With `warmup`, the factor first rises from 0 to 1 within this share of the training,
    along a line.
    """

    final: float = 0
    warmup: float = 0

    def __post_init__(self) -> None:
        check_not_negative(final=self.final)
        _check_warmup(self.warmup)

    def __call__(self, t: float) -> float:
        if t < self.warmup:
            return t / self.warmup
        return _cosine(1, self.final, (t - self.warmup) / (1 - self.warmup))


@dataclass(frozen=True)
class OneCycleSchedule:
    """Up from `start` to 1 within `warmup`, then down to `final`, along half cosines.

    The learning rate of the optimizer is thus the highest (Smith and Topin, 2018). The
    defaults are those of PyTorch's OneCycleLR, except that momentum stays as it is.
    """

    warmup: float = 0.3
    start: float = 1 / 25
    final: float = 1 / 250_000

    def __post_init__(self) -> None:
        check_not_negative(start=self.start, final=self.final)
        _check_warmup(self.warmup)

    def __call__(self, t: float) -> float:
        if t < self.warmup:
            return _cosine(self.start, 1, t / self.warmup)
        return _cosine(1, self.final, (t - self.warmup) / (1 - self.warmup))


def _cosine(first: float, last: float, over: float) -> float:
    """From `first` to `last` along half a cosine, of which a share is `over`."""
    return last + (first - last) * (1 + math.cos(math.pi * over)) / 2


def _check_warmup(warmup: Any) -> None:
    if not is_number(warmup) or not 0 <= warmup < 1:
        raise ValueError(
            f"warmup must be a share of the training, >= 0 and < 1, got {warmup!r}: "
            "divide epochs by max_epochs"
        )
