"""What layers and optimisers hold in attributes, unknown to their framework.

Arrays, numbers and sources of random numbers, also within a reader's own objects: a
schedule, a moving average.
"""

import contextlib
import functools
import types
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

import numpy as np

from d2lext.core.training.fingerprint import is_random
from d2lext.core.training.own import FRAMEWORK_MODULES, is_own

Owners = Iterable[tuple[str, Any]]  # named objects
Place = tuple[Any, ...]  # an owner's name, then attributes, keys and numbers

_NUMBERS = (bool, int, float, str, type(None), np.number, np.bool_)


def held(owners: Owners, kind: Any) -> dict[str, Any]:
    """Arrays of a `kind` in attributes of named objects, and in lists and dicts there.

    Each is named by its first place, such as "encoder.weights.0".
    """
    found: dict[int, tuple[str, Any]] = {}
    for place, array in _parts(owners, kind):
        path = ".".join(map(str, place)).lstrip(".")
        if isinstance(array, kind):
            found.setdefault(id(array), (path, array))
    return dict(found.values())


def by_place(owners: Owners, kind: Any) -> dict[Place, Any]:
    """The same arrays by their places, at which `set_values` puts others."""
    return {
        place: array
        for place, array in _parts(owners, kind)
        if isinstance(array, kind) and _is_nameable(place)
    }


def sources(owners: Owners) -> list[Any]:
    """Sources of random numbers in the attributes of named objects, each once."""
    found = {id(value): value for _, value in _parts(owners) if is_random(value)}
    return list(found.values())


def numbers(owners: Owners, names: Container[str] | None = None) -> dict[Place, Any]:
    """The numbers, flags and words in the attributes of named objects, by place.

    Not what a framework keeps for itself: it makes that again. With `names`, those in
    attributes of these names alone.
    """
    return {
        place: value.item() if isinstance(value, np.generic) else value
        for place, value in _parts(owners, names=names)
        if isinstance(value, _NUMBERS) and _is_nameable(place)
    }


def set_values(owners: Owners, values: dict[Place, Any]) -> None:
    """Put `values` into the named objects, where there still is such a place."""
    by_name = dict(owners)
    for (name, *path), value in values.items():
        with contextlib.suppress(AttributeError, IndexError, KeyError, TypeError):
            _put(by_name[name], path, value)


class Numbers:
    """The numbers of the objects that `owners()` names: which of them training changes."""

    def __init__(self, owners: Callable[[], Owners]):
        self._owners = owners
        self._before = numbers(owners())

    def changed(self) -> list[tuple[Place, Any]]:
        """(place, value) of what is not as it was."""
        return [
            (place, value)
            for place, value in numbers(self._owners()).items()
            if place not in self._before or self._before[place] != value
        ]

    def restore(self, changed: Iterable[tuple[Iterable[Any], Any]]) -> None:
        """Put what `changed` returned, where there still is such a place."""
        values = {tuple(place): value for place, value in changed}
        set_values(self._owners(), values)
        for place in values:  # changed, even if these very objects had it already
            self._before.pop(place, None)


def _is_nameable(place: Place) -> bool:
    """Whether a file of JSON can hold a place."""
    return all(isinstance(key, str | int) for key in place)


def _put(whole: Any, path: list[Any], value: Any) -> Any:
    """`whole` with `value` at a place in it: changed itself, if it can be."""
    if not path:
        return value
    key, *rest = path
    if isinstance(whole, tuple):
        parts = list(whole)
        parts[key] = _put(parts[key], rest, value)
        kind = type(whole)
        return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
    if isinstance(whole, dict):
        whole[key] = _put(whole.get(key), rest, value)
    elif isinstance(whole, list):
        if key == len(whole):  # it has grown
            whole.append(None)
        whole[key] = _put(whole[key], rest, value)
    else:
        before = getattr(whole, key, None)
        after = _put(before, rest, value)
        if after is not before:
            setattr(whole, key, after)
    return whole


def _parts(
    owners: Owners, kind: Any = (), names: Container[str] | None = None
) -> Iterator[tuple[Place, Any]]:
    """(place, part) of whatever has no parts of its own, or is of a `kind`."""
    owners = list(owners)
    seen = {id(owner) for _, owner in owners}

    def within(place: Place, value: Any) -> Iterator[tuple[Place, Any]]:
        inside = None if isinstance(value, kind) else _inside(value)
        if inside is None:
            yield place, value
        elif id(value) not in seen:
            seen.add(id(value))
            for key, part in list(inside):
                if not isinstance(key, kind):  # an optimiser's state is by parameter
                    yield from within((*place, key), part)

    for name, owner in owners:
        owner_kind: type = type(owner)
        for key, value in list(getattr(owner, "__dict__", {}).items()):
            if names is not None and key not in names:
                continue
            if key not in _kept_by_framework(owner_kind):
                yield from within((name, key), value)


def _inside(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """(key, part) of what is in a container or a reader's own object; None of others."""
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list | tuple):
        return enumerate(value)
    kind: type = type(value)
    if hasattr(value, "__dict__") and is_own(kind):
        return vars(value).items()
    return None


@functools.cache
def _kept_by_framework(kind: type) -> set[str]:
    """The attributes that only methods of a framework's class use: whether it is built."""
    names = {
        name
        for base in kind.__mro__
        if base.__module__.partition(".")[0] in FRAMEWORK_MODULES
        for function in vars(base).values()
        if isinstance(function, types.FunctionType)
        for name in function.__code__.co_names
    }
    return {n for n in names if n.startswith("_") or n in ("training", "built")}
