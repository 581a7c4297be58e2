"""Which classes a reader wrote, and what their methods do."""

import dis
import functools
import inspect
import sys
import types
from collections.abc import Iterator
from typing import Any

from d2lext.core.frameworks import FRAMEWORKS
from d2lext.core.hyperparameters import HyperParameters

FRAMEWORK_MODULES = {name for f in FRAMEWORKS.values() for name in f.modules}
# Where a class was written, and what it says of itself.
_OF_PYTHON = ("__module__", "__doc__", "__firstlineno__", "__static_attributes__")


def is_written(definition: Any) -> bool:
    """Whether a reader wrote a class or function: not Python, a package, or we."""
    return _author(definition.__module__ or "builtins") == "reader"


@functools.cache
def is_own(kind: type) -> bool:
    """Whether a reader wrote a class and all it inherits, but for what Python has."""
    bases = {base.__module__ for base in kind.__mro__} - {HyperParameters.__module__}
    return is_written(kind) and "package" not in map(_author, bases)


def code(definition: Any) -> Iterator[Any]:
    """What tells a reader's class or function from another one of its name.

    That is the code, step by step, without comments, docstrings and line numbers; of a
    class, all methods and the numbers and words among its attributes, with those inherited
    from a reader's classes. The functions that the code calls are not followed.
    """
    if not isinstance(definition, type):
        yield from _code(definition)
        return
    for base in filter(is_written, definition.__mro__):
        for name, value in sorted(vars(base).items()):
            if name not in _OF_PYTHON:
                yield from (name, *_code(value))


def steps(code: types.CodeType) -> Iterator[Any]:
    """What compiled code does."""
    for step in dis.get_instructions(code):
        if isinstance(step.argval, types.CodeType):
            yield list(steps(step.argval))
        else:
            yield step.opname, step.argval


@functools.cache
def _author(module: str) -> str:
    first = module.partition(".")[0]
    if first == "__main__":  # even if a package started it
        return "reader"
    if first in sys.stdlib_module_names:
        return "Python"
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    is_installed = "site-packages" in file or "dist-packages" in file
    is_package = is_installed or first in (*FRAMEWORK_MODULES, "d2lext")
    return "package" if is_package else "reader"


def _code(value: Any) -> Iterator[Any]:
    """The code of a function or method; a number or a word itself."""
    if isinstance(value, property):
        for function in (value.fget, value.fset):
            yield from _code(function)
        return
    function = inspect.unwrap(getattr(value, "__func__", value))
    if isinstance(function, types.FunctionType):
        yield list(steps(function.__code__))
        yield from (function.__defaults__, function.__kwdefaults__)
    elif isinstance(value, bool | int | float | complex | str | None):
        yield value
