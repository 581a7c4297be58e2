"""A loss that broadcasts predictions against labels, each with each."""

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any


class Pairs:
    """Refuses a loss that subtracts shapes such as (n, 1) and (n,): they become (n, n).

    Many losses reshape one of them first. Therefore such a loss is tried with a label less:
    only one that broadcasts still takes them. One that does not read labels takes None.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self._accepted: set = set()  # pairs of shapes

    def check(self, loss: Callable[[Any], Any], Y_hat: Any, Y: Any) -> None:
        """Raise ValueError if `loss`, a function of labels, takes each with each Y_hat."""
        shapes = _shape(Y_hat), _shape(Y)
        if not _may_expand(*shapes) or shapes in self._accepted:
            return
        if self._takes(loss, Y[1:]) and not self._takes(loss, None):
            raise ValueError(
                "a loss must compare each prediction with its own label, got the shapes "
                f"{shapes[0]} and {shapes[1]}, which it broadcasts: let the network return "
                "one prediction for each label, and reshape the labels like the predictions"
            )
        self._accepted.add(shapes)

    def _takes(self, loss, Y):
        logged = self.trainer._logged
        self.trainer._logged = dict(logged)  # what a trial logs is nothing
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PyTorch's, about broadcasting
                self.trainer.try_out(lambda: loss(Y))
        except Exception:  # depends on the framework
            return False
        finally:
            self.trainer._logged = logged
        return True


def _shape(tensor: Any) -> tuple | None:
    try:
        return tuple(tensor.shape)
    except (AttributeError, TypeError, ValueError):  # several outputs, an unknown rank
        return None


def _may_expand(a: tuple | None, b: tuple | None) -> bool:
    """Whether arrays of these shapes, of 3 labels or more, broadcast to a larger one."""
    if not a or not b or None in (*a, *b) or b[0] < 3:
        return False
    pairs = list(itertools.zip_longest(a[::-1], b[::-1], fillvalue=1))
    if any(n != m and 1 not in (n, m) for n, m in pairs):
        return False
    return math.prod(map(max, pairs)) > max(math.prod(a), math.prod(b))
