"""The frameworks that there are: one table for the library, the builder and the tests.

Standard library only: the builder reads it before anything is installed.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Framework:
    """A framework: its title, the modules its backend imports, other names for it."""

    title: str
    modules: tuple[str, ...]
    aliases: tuple[str, ...] = ()


FRAMEWORKS = {
    "torch": Framework("PyTorch", ("torch",), ("pytorch",)),
    "mxnet": Framework("MXNet", ("mxnet",)),
    "jax": Framework("JAX", ("jax", "flax", "optax")),
    "tensorflow": Framework("TensorFlow", ("tensorflow", "keras"), ("tf",)),
}
IDS = tuple(FRAMEWORKS)
TITLES = {name: framework.title for name, framework in FRAMEWORKS.items()}


def backend_id(name: str) -> str:
    """The id of the framework that a person calls `name`; ValueError if unknown."""
    known = name.lower()
    for own, framework in FRAMEWORKS.items():
        if known in (own, *framework.aliases):
            return own
    names = [*IDS, *(alias for f in FRAMEWORKS.values() for alias in f.aliases)]
    raise ValueError(f"unknown backend {name!r}: choose from {', '.join(names)}")


@contextlib.contextmanager
def needed_by(backend: str) -> Iterator[None]:
    """Import a framework within; ImportError then says how to install it."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"d2lext.{backend} needs {TITLES[backend]} ({error}). Install it: "
            f"python build.py setup --backend {backend}",
            name=error.name,
        ) from error
