"""The four frameworks: one table for the library, the builder and the tests.

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
TITLES = {backend: framework.title for backend, framework in FRAMEWORKS.items()}
_BY_NAME = {backend: backend for backend in IDS} | {
    alias: backend for backend, f in FRAMEWORKS.items() for alias in f.aliases
}


def backend_id(name: str) -> str:
    """The id of the framework known as `name`; ValueError if unknown."""
    if name.lower() not in _BY_NAME:
        raise ValueError(f"unknown backend {name!r}: choose from {', '.join(_BY_NAME)}")
    return _BY_NAME[name.lower()]


@contextlib.contextmanager
def needed_by(backend: str) -> Iterator[None]:
    """If importing the framework fails within the block, say how to install it."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"d2lext.{backend} needs {TITLES[backend]} ({error}). Install it: "
            f"python build.py setup --backend {backend}",
            name=error.name,
        ) from error
