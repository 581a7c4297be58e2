"""The registry of verbs, filled by a decorator on their functions."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

Option = Callable[[ArgumentParser], object]  # adds itself to a parser
Function = Callable[[Namespace, Path], int | None]  # may return an exit status
Needs = Callable[[Namespace], set[str]]


@dataclass(frozen=True)
class Verb:
    """A verb of the command line; `needs` gives the extras that must be installed."""

    name: str
    run: Function
    example: str
    options: tuple[Option, ...]
    needs: Needs

    @property
    def summary(self) -> str:
        """What it does: the first line of its function's docstring."""
        return (self.run.__doc__ or "").partition("\n")[0]


VERBS: dict[str, Verb] = {}  # in the order of the help


def verb(
    example: str,
    options: Iterable[Option] = (),
    needs: Needs = lambda args: {"book"},
) -> Callable[[Function], Function]:
    """Register a function as the verb of its name, less a trailing `_`."""

    def register(function: Function) -> Function:
        name = function.__name__.rstrip("_")
        VERBS[name] = Verb(name, function, example, tuple(options), needs)
        return function

    return register
