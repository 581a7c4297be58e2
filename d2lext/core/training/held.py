"""Arrays that layers and optimisers hold in attributes, unknown to their framework."""

from collections.abc import Iterable, Iterator
from typing import Any


def held(owners: Iterable[tuple[str, Any]], kind: type) -> dict[str, Any]:
    """Arrays of a `kind` in attributes of named objects, and in lists and dicts there.

    Each is named by its first place, such as "encoder.weights.0".
    """
    found: dict[int, tuple[str, Any]] = {}
    for name, owner in owners:
        for path, array in _within(name, getattr(owner, "__dict__", {}), kind):
            found.setdefault(id(array), (path, array))
    return dict(found.values())


def _within(path: str, value: Any, kind: type) -> Iterator[tuple[str, Any]]:
    if isinstance(value, kind):
        yield path, value
    elif isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in list(pairs):
            if not isinstance(key, kind):  # an optimiser's state is by parameter
                yield from _within(f"{path}.{key}".lstrip("."), part, kind)
