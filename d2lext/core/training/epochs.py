"""Epochs: how many, how long each is, and what is known of the current one."""

import itertools
import operator
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from d2lext.core.data.minibatches import Minibatches
from d2lext.core.training import provenance
from d2lext.core.training.averages import Averages

FAST_TRAIN_BATCHES, FAST_VAL_BATCHES = 3, 2
FAST_EXAMPLES = 32  # of each batch


class Epoch:
    """The epoch in progress: its training batches so far, and the time they took."""

    def __init__(
        self,
        batches: Iterable = (),
        drawn: int = 0,
        seconds: float = 0,
        first_val_batch: int = 0,
    ):
        self.batches = Averages(batches)
        self.drawn = drawn  # how many of them the curves show
        self.seconds = seconds  # of training, before it was interrupted
        self.first_val_batch = first_val_batch
        self._start: float | None = None

    def start_clock(self) -> None:
        """Start measuring, in addition to `seconds`."""
        self._start = time.perf_counter() - self.seconds

    def stop_clock(self) -> float:
        """The seconds of training, kept as `seconds`; a stopped clock stays stopped."""
        if self._start is not None:
            self.seconds, self._start = time.perf_counter() - self._start, None
        return self.seconds


def num_epochs(max_epochs: int) -> int:
    """The number of epochs to run: fewer than `max_epochs` in the short modes."""
    limit = 1 if provenance.fast_mode() else provenance.epoch_limit()
    return min(max_epochs, limit or max_epochs)


def most_batches(train: bool) -> int | None:
    """The most batches that an epoch may use; None means all."""
    if not provenance.fast_mode():
        return None
    return FAST_TRAIN_BATCHES if train else FAST_VAL_BATCHES


def batches(loader: Iterable, train: bool, skip: int = 0) -> Iterator:
    """The batches that an epoch uses, without the first `skip`.

    In fast mode they are few, and our own loaders give the first few examples of each.
    """
    if isinstance(loader, Minibatches):
        loader.most_examples = FAST_EXAMPLES if provenance.fast_mode() else None
    return itertools.islice(loader, skip, most_batches(train))


def expected_batches(loader: Any, train: bool) -> int:
    """How many batches of `loader` an epoch will use, 0 if unknown."""
    known = filter(None, (most_batches(train), operator.length_hint(loader)))
    return min(known, default=0)


def not_empty(batches: Iterable, part: str, first: int = 1) -> Iterator:
    """The batches of a set, numbered from `first`; ValueError if one has no example.

    Raises TypeError for one that is not a sequence of arrays.
    """
    for number, batch in enumerate(batches, first):
        if isinstance(batch, Mapping) or hasattr(batch, "shape"):
            has_keys = isinstance(batch, Mapping)
            got = ", ".join(map(str, batch)) if has_keys else "one array"
            raise TypeError(
                "each batch must be a tuple or a list of arrays, the inputs and then the "
                f"labels, got {type(batch).__name__} of {got} in batch {number} of the "
                f"{part} set: return them in this order, for example by a collate_fn"
            )
        if len(batch[-1]) == 0:
            raise ValueError(
                f"each batch must hold at least one example, got none in batch {number} "
                f"of the {part} set: leave this batch out"
            )
        yield batch


def rereadable(make_loader: Callable[[], Any]) -> Any:
    """The loader, readable once per epoch; None if there is none."""
    loader = ending(make_loader())
    return _Reread(make_loader, loader) if isinstance(loader, Iterator) else loader


def ending(loader: Any) -> Any:
    """The loader; ValueError if it is known to have no end, as a generator's is not."""
    if _is_endless(loader):
        raise ValueError(
            "a loader must end, and with it an epoch, got a "
            f"{type(loader).__name__} that repeats for ever: leave out what repeats it, or "
            "take n batches, as by loader.take(n) or itertools.islice(loader, n)"
        )
    return loader


def _is_endless(loader: Any) -> bool:
    if isinstance(loader, itertools.cycle | itertools.count | itertools.repeat):
        return operator.length_hint(loader, -1) < 0
    if hasattr(loader, "cardinality") and hasattr(loader, "take"):  # of tf.data
        return int(loader.cardinality()) == -1
    if getattr(loader, "num_batches", 0) is None:  # Keras' PyDataset
        return True
    return operator.length_hint(loader) == sys.maxsize  # Grain's


class _Reread:
    """Batches that can be read only once, such as a generator's: recreated each time."""

    def __init__(self, make: Callable[[], Iterator], first: Iterator):
        self._make, self._last = make, first

    def __iter__(self) -> Iterator:
        before, self._last = self._last, self._make()
        if self._last is before:
            raise ValueError(
                "a loader must give its batches again in each epoch, got the same "
                f"{type(before).__name__} twice, which can be read only once: make it "
                "within the method, or return a list of batches"
            )
        return self._last
