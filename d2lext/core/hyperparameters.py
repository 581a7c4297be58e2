"""Constructor arguments as attributes, and methods added to a class later."""

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

# What a model of the library may also get as attributes, where it takes no such arguments.
LATER = ("nesterov", "decay_all", "label_smoothing")
_Method = TypeVar("_Method", bound=Callable[..., Any])


def add_to_class(Class: type) -> Callable[[_Method], _Method]:
    """Register the decorated function as a method of `Class`.

    A chapter can then build a class step by step, with prose in between.
    """

    def wrapper(obj: _Method) -> _Method:
        setattr(Class, obj.__name__, obj)
        return obj

    return wrapper


def plain(value: Any) -> Any:
    """`value` with NumPy's numbers as Python's, also in a tuple or list.

    JSON and Keras can save those, and they print as what was meant: the float32 nearest
    to 0.1 becomes 0.1.
    """
    if isinstance(value, np.floating):
        return float(str(value))
    if isinstance(value, (np.integer, np.bool_, np.str_)):
        return value.item()
    if type(value) in (tuple, list) and any(isinstance(v, np.generic) for v in value):
        return type(value)(map(plain, value))
    return value


class HyperParameters:
    """Base of classes that keep the arguments of their constructor."""

    def save_hyperparameters(self, ignore: Iterable[str] = ()) -> None:
        """Store the caller's arguments as attributes and in `self.hparams`.

        Call it in `__init__`. Names in `ignore`, `self` and names that start
        with an underscore are skipped. NumPy's numbers become Python's.
        """
        left_out = {*ignore, "self"}
        self.hparams: dict[str, Any] = {
            name: plain(value)
            for name, value in sys._getframe(1).f_locals.items()
            if name not in left_out and not name.startswith("_")
        }
        for name, value in self.hparams.items():
            setattr(self, name, value)
        self.check_hyperparameters()

    def check_hyperparameters(self) -> None:
        """Raise ValueError for values that cannot be; a class may override it."""
