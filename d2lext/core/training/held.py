"""What layers and optimisers hold in attributes, unknown to their framework.

Arrays, numbers and sources of random numbers, also within a reader's own objects: a
schedule, a moving average.
"""

import contextlib
import functools
import sys
import types
from collections.abc import Container, Iterable, Iterator
from typing import Any

import numpy as np

from d2lext.core.frameworks import FRAMEWORKS
from d2lext.core.hyperparameters import HyperParameters
from d2lext.core.training.fingerprint import is_random

Place = tuple[Any, ...]  # an owner's name, then attributes, keys and numbers

_PLAIN = (bool, int, float, str, type(None))
_FRAMEWORKS = {name for f in FRAMEWORKS.values() for name in f.modules}


def held(owners: Iterable[tuple[str, Any]], kind: Any) -> dict[str, Any]:
    """Arrays of a `kind` in attributes of named objects, and in lists and dicts there.

    Each is named by its first place, such as "encoder.weights.0".
    """
    found: dict[int, tuple[str, Any]] = {}
    for place, array in _parts(owners, kind):
        path = ".".join(str(key) for key in place).lstrip(".")
        if isinstance(array, kind):
            found.setdefault(id(array), (path, array))
    return dict(found.values())


def by_place(owners: Iterable[tuple[str, Any]], kind: Any) -> dict[Place, Any]:
    """The same arrays by their places, at which `set_values` puts others."""
    return {
        place: array
        for place, array in _parts(owners, kind)
        if isinstance(array, kind) and all(isinstance(k, str | int) for k in place)
    }


def attributes(name: str, value: Any) -> dict[str, Any]:
    """The class of an object as `name`, and what it holds as `name`.lr, ..."""
    inside = getattr(value, "__dict__", {})
    found = {f"{name}.{key}": part for key, part in inside.items()}
    return {name: type(value).__name__, **found}


def sources(owners: Iterable[tuple[str, Any]]) -> list[Any]:
    """Sources of random numbers in the attributes of named objects, each once."""
    found = {id(v): v for _, v in _parts(owners, np.generic) if is_random(v)}
    return list(found.values())


def numbers(
    owners: Iterable[tuple[str, Any]], names: Container[str] | None = None
) -> dict[Place, Any]:
    """Numbers, flags and words in the attributes of named objects, by place.

    Not what a framework keeps for itself: it makes that again. With `names`, those in
    attributes of these names alone.
    """
    return {
        place: value.item() if isinstance(value, np.generic) else value
        for place, value in _parts(owners, np.generic, names)
        if isinstance(value, (*_PLAIN, np.number, np.bool_))
        and all(isinstance(key, str | int) for key in place)
    }


def set_values(owners: Iterable[tuple[str, Any]], values: dict[Place, Any]) -> None:
    """Put `values` into the named objects, where they have such a place."""
    by_name = dict(owners)
    for (name, *path), value in values.items():
        with contextlib.suppress(AttributeError, IndexError, KeyError, TypeError):
            _put(by_name[name], path, value)


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


def is_readers(module: str) -> bool:
    """Whether a reader wrote a module: not a framework, another package, or we."""
    is_python = module.partition(".")[0] in sys.stdlib_module_names
    return not is_python and not _is_installed(module)


def _parts(
    owners: Iterable[tuple[str, Any]], kind: Any, names: Container[str] | None = None
) -> Iterator[tuple[Place, Any]]:
    """(place, part) of whatever has no parts of its own, or is of a `kind`."""
    owners = list(owners)
    seen = {id(owner) for _, owner in owners}
    for name, owner in owners:
        for key, value in list(getattr(owner, "__dict__", {}).items()):
            if names is not None and key not in names:
                continue
            if key not in _kept_by_framework(type(owner)):  # type: ignore[arg-type]
                yield from _within((name, key), value, kind, seen)


def _within(
    place: Place, value: Any, kind: Any, seen: set[int]
) -> Iterator[tuple[Place, Any]]:
    inside = None if isinstance(value, kind) else _inside(value)
    if inside is None:
        yield place, value
    elif id(value) not in seen:
        seen.add(id(value))
        for key, part in list(inside):
            if not isinstance(key, kind):  # an optimiser's state is by parameter
                yield from _within((*place, key), part, kind, seen)


def _inside(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """(key, part) of what is in a container or a reader's own object; None of others."""
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list | tuple):
        return enumerate(value)
    if hasattr(value, "__dict__") and _is_own(type(value)):  # type: ignore[arg-type]
        return vars(value).items()
    return None


@functools.cache
def _is_own(kind: type) -> bool:
    """Whether a reader wrote the class: not a framework, another package, or we."""
    if not is_readers(kind.__module__):
        return False
    bases = {base.__module__ for base in kind.__mro__}
    return not any(map(_is_installed, bases - {HyperParameters.__module__}))


def _is_installed(module: str) -> bool:
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    first = module.partition(".")[0]
    return first in (*_FRAMEWORKS, "d2lext") or "site-packages" in file


@functools.cache
def _kept_by_framework(kind: type) -> set[str]:
    """The attributes that only methods of a framework's class use: whether it is built."""
    names = {
        name
        for base in kind.__mro__
        if base.__module__.partition(".")[0] in _FRAMEWORKS
        for function in vars(base).values()
        if isinstance(function, types.FunctionType)
        for name in function.__code__.co_names
    }
    return {n for n in names if n.startswith("_") or n in ("training", "built")}
