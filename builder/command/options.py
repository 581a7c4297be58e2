"""Declares the options of verbs, the shared ones among them, and reads their values."""

from argparse import (
    ArgumentParser,
    ArgumentTypeError,
    BooleanOptionalAction,
    Namespace,
)
from typing import Any

from builder.command.registry import Option
from builder.errors import BookError
from builder.setup import machine
from d2lext.core.frameworks import IDS, backend_id


def option(*names: str, **settings: Any) -> Option:
    """An option with the arguments of argparse's `add_argument`."""

    def add(parser: ArgumentParser) -> None:
        parser.add_argument(*names, **settings)

    return add


def positive(text: str) -> int:
    """The type of an option: an integer >= 1."""
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"must be an integer >= 1, got {text!r}")
    return int(text)


def port(text: str) -> int:
    """The type of an option: the number of a port."""
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise ArgumentTypeError(f"must be a port from 1 to 65535, got {text!r}")
    return int(text)


def _backend(name: str) -> str:
    try:
        return backend_id(name)
    except ValueError as error:
        raise BookError(str(error)) from error


BACKEND = option(
    "--backend",
    action="append",
    type=_backend,
    metavar="NAME",
    help=f"only this framework; repeatable: {', '.join(IDS)} (or pytorch, tf)",
)
FAST = option(
    "--fast",
    action="store_true",
    help="train for a few steps only; the outputs say so, and `check` rejects them",
)
EPOCHS = option(
    "--epochs",
    type=positive,
    metavar="N",
    help="train for at most N epochs; the outputs say so, and `check` rejects them",
)
CHAPTERS = option("chapter", nargs="*", help="a name such as densenet (default: all)")
SOLUTIONS = option(
    "--solutions",
    action=BooleanOptionalAction,
    default=True,
    help="put solutions after the exercises, as in the notebooks (the default); "
    "without them, the file is named NAME-no-solutions",
)


def frameworks(args: Namespace) -> list[str]:
    """The requested frameworks, all by default."""
    return args.backend or list(IDS)


def backends(args: Namespace) -> list[str]:
    """The requested frameworks, by default all that run on this kind of machine."""
    if args.backend:
        return args.backend
    return [name for name in IDS if machine.has_wheels(name)]
