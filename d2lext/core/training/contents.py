"""What data hold: their arrays, lists and options, but not what reading them changes."""

import collections
import functools
from collections.abc import Iterable, Iterator
from typing import Any

from d2lext.core.training.fingerprint import Fingerprints, is_plain
from d2lext.core.training.own import code, is_written

# They decide where data go, and how fast they are read.
_NO_EFFECT = (
    "device",
    "gather",
    "num_workers",
    "persistent_workers",
    "pin_memory",
    "prefetch_factor",
    "timeout",
)
# The places of what reading has changed in this process, or in that of a checkpoint: the
# next training may begin with a full cache.
_changing: set[str] = set()


class Contents:
    """Fingerprints of what a trainer's data module and its loaders hold.

    Whatever changes while they are read says nothing of the data: a cache that fills, a
    file that is opened, a counter. We know it from the first epoch, and of counters from
    when the loaders are made.
    """

    def __init__(self, trainer: Any, changing: Iterable[str] = ()):
        data = trainer.data
        counters = {_place(data, k) for k, v in vars(data).items() if is_plain(v)}
        _changing.update(changing, trainer.reading.changed() & counters)
        self._trainer = trainer
        walk = self._read()
        self.sources, self.definitions = walk.sources, walk.definitions
        self._reading = Reading([data, *walk.objects])

    @property
    def changing(self) -> list[str]:
        """The places of attributes that are known not to count."""
        return sorted(_changing)

    def settle(self) -> bool:
        """Whether reading has changed more attributes, which now do not count any more."""
        new = self._reading.changed() - _changing
        _changing.update(new)
        if new:
            self.sources = self._read().sources
        return bool(new)

    def _read(self) -> Fingerprints:
        trainer, data = self._trainer, self._trainer.data
        parts = {
            **{k: v for k, v in vars(data).items() if counts(data, k, v)},
            "train_dataloader": trainer.train_dataloader,
            "val_dataloader": trainer.val_dataloader,
        }
        parts.pop("hparams", None)  # each of them is an attribute
        # Loaders have methods of the data module, whose parts are told apart already.
        ignored = (trainer, trainer.model, data)
        walk = Fingerprints(trainer.layers, ignored, counts=counts)
        self.fingerprints = {name: walk(value) for name, value in parts.items()}
        return walk


class Reading:
    """Tells which attributes of objects have changed since it was made.

    It looks into containers down to a `depth`, and not at the numbers in arrays: those of
    data that are loaded anew are the same.
    """

    def __init__(self, objects: Iterable[Any], depth: int = 3):
        self._objects, self._depth = list(objects), depth
        self._before = self._now()

    def changed(self) -> set[str]:
        """Their places."""
        return {place for place, _ in self._before.items() ^ self._now().items()}

    def _now(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for owner in self._objects:
            for name, value in list(getattr(owner, "__dict__", {}).items()):
                if counts(owner, name, value):
                    place = _place(owner, name)
                    found[place] = hash((found.get(place), _shown(value, self._depth)))
        return found


def counts(owner: Any, name: str, value: Any) -> bool:
    """Whether an attribute may be data.

    Numbers and words in objects of other packages are not: how many processes read, say.
    """
    return not (
        isinstance(value, Iterator)
        or name.lstrip("_") in _NO_EFFECT
        or _place(owner, name) in _changing
        or (is_plain(value) and not is_written(type(owner)))
    )


def _place(owner: Any, name: str) -> str:
    kind: type = type(owner)
    return f"{_name(kind)}.{name}"


@functools.cache
def _name(kind: type) -> str:
    """A class as each process names it, and no other class: its name and its code."""
    return f"{kind.__qualname__} {Fingerprints()([kind.__module__, *code(kind)])[:8]}"


def _shown(value: Any, depth: int) -> Any:
    """A number or word; the class and the shape of anything else; the same of its parts."""
    if is_plain(value):
        return repr(value)
    parts: Iterable[Any] = ()
    if isinstance(value, dict) and depth:
        parts = [*value, *value.values()]
    elif isinstance(value, list | set | collections.deque) and depth:
        parts = list(value)  # a thread may still be filling it
    shape = str(getattr(value, "shape", "")) if hasattr(type(value), "shape") else ""
    return type(value), shape, tuple(_shown(part, depth - 1) for part in parts)
