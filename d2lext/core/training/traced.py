"""Python's values in a compiled step, which reads them only while it is traced."""

import functools
import inspect
import types
import warnings
from collections.abc import Iterator
from typing import Any

from d2lext.core.training.held import Owners, numbers
from d2lext.core.training.own import is_written

_BEFORE = ("__init__", "__post_init__", "setup", "configure_optimizers")  # any step
_FEW = 4  # different values, which are no reason not to compile


class Traced:
    """Numbers, flags and words that a reader's methods name: with others, trace again.

    They are attributes of the named objects `owners`, or in lists, dicts and a reader's
    objects there, and those of the trainer. Options of a framework's layers and global
    variables are not among them.
    """

    def __init__(self, trainer: Any, owners: Owners):
        self._names: set[str] = set()
        self._owners: list[tuple[str, Any]] = []
        for name, owner in owners:
            kind: type = type(owner)
            if names := _names(kind):
                self._names |= names
                self._owners.append((name, owner))
        if "trainer" in self._names:
            self._owners.append(("trainer", trainer))
        self._known: set[tuple] = set()
        self._last = self.values()
        self._steps = 0

    def values(self) -> tuple:
        """(place, value) of each of them, as they are."""
        return tuple(numbers(self._owners, self._names).items())

    def changed(self) -> bool:
        """Whether they are others than at the last call, or at first."""
        last, self._last = self._last, self.values()
        return last != self._last

    def may_go_on(self, values: tuple) -> bool:
        """Whether the next step may be compiled, after one with these values.

        It may not, and a warning says so, if more than half of the steps had new ones.
        """
        last, self._last = self._last, values
        self._known.add(values)
        self._steps += 1
        if len(self._known) <= max(_FEW, self._steps // 2):
            return True
        changed = {place for place, _ in set(values) ^ set(last)}
        names = sorted(".".join(map(str, place)) for place in changed)
        warnings.warn(
            "values of Python that a compiled step reads must stay as they are for many "
            f"steps, got other {', '.join(names)} each time: from now on this training is "
            "not compiled, and slower, unless variables of the framework hold them",
            stacklevel=2,
        )
        return False


@functools.cache
def _names(kind: type) -> frozenset[str]:
    """The names in the methods that a reader wrote for a class, and calls in a step."""
    methods = (
        # That of a property; not what Flax wraps around a method.
        inspect.unwrap(getattr(value, "fget", value))
        for base in kind.__mro__
        if is_written(base)
        for name, value in vars(base).items()
        if name not in _BEFORE
    )
    codes = (m.__code__ for m in methods if isinstance(m, types.FunctionType))
    return frozenset(name for code in codes for name in _in_code(code))


def _in_code(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from _in_code(part)
