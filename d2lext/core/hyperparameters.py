"""Constructor arguments as attributes, and methods added to a class later."""

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

_Method = TypeVar("_Method", bound=Callable[..., Any])


def add_to_class(Class: type) -> Callable[[_Method], _Method]:
    """Register the decorated function as a method of `Class`.

    A chapter can then build a class step by step, with prose in between.
    """

    def wrapper(obj: _Method) -> _Method:
        setattr(Class, obj.__name__, obj)
        return obj

    return wrapper


class HyperParameters:
    """Base of classes that keep the arguments of their constructor."""

    def save_hyperparameters(self, ignore: Iterable[str] = ()) -> None:
        """Store the caller's arguments as attributes and in `self.hparams`.

        Call it in `__init__`. Names in `ignore`, `self` and names that start
        with an underscore are skipped.
        """
        left_out = {*ignore, "self"}
        self.hparams: dict[str, Any] = {
            name: value
            for name, value in sys._getframe(1).f_locals.items()
            if name not in left_out and not name.startswith("_")
        }
        for name, value in self.hparams.items():
            setattr(self, name, value)
