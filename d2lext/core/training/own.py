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


def is_written(kind: type) -> bool:
    """Whether a reader wrote a class: not Python, a framework, another package, or we."""
    return _author(kind.__module__) == "reader"


@functools.cache
def is_own(kind: type) -> bool:
    """Whether a reader wrote a class and all it inherits, but for what Python has."""
    bases = {base.__module__ for base in kind.__mro__} - {HyperParameters.__module__}
    return is_written(kind) and "package" not in map(_author, bases)


def methods(kind: type) -> Iterator[Any]:
    """What tells a reader's class from another one of its name.

    The code of its methods, without comments and docstrings, and the numbers and words
    among its attributes, with those that it inherits from other classes of readers. The
    functions that its methods call are not followed.
    """
    for base in kind.__mro__:
        if is_written(base):
            for name, value in sorted(vars(base).items()):
                if name not in _OF_PYTHON:
                    yield from (name, *_method(value))


def code(function: types.FunctionType) -> list[Any]:
    """What a function does, step by step: no comments, docstrings and line numbers."""
    return list(_steps(function.__code__))


# Where a class was written, and what it says of itself.
_OF_PYTHON = ("__module__", "__doc__", "__firstlineno__", "__static_attributes__")


@functools.cache
def _author(module: str) -> str:
    first = module.partition(".")[0]
    if first in sys.stdlib_module_names:
        return "Python"
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    is_installed = "site-packages" in file or "dist-packages" in file
    is_package = is_installed or first in (*FRAMEWORK_MODULES, "d2lext")
    return "package" if is_package else "reader"


def _method(value: Any) -> Iterator[Any]:
    """The code in an attribute of a class, or its value if it is a number or a word."""
    if isinstance(value, property):
        for function in (value.fget, value.fset):
            yield from _method(function)
        return
    function = inspect.unwrap(getattr(value, "__func__", value))
    if isinstance(function, types.FunctionType):
        yield from (code(function), function.__defaults__, function.__kwdefaults__)
    elif isinstance(value, bool | int | float | complex | str | tuple | None):
        yield value


def _steps(code: types.CodeType) -> Iterator[Any]:
    for step in dis.get_instructions(code):
        if isinstance(step.argval, types.CodeType):
            yield list(_steps(step.argval))
        else:
            yield step.opname, step.argval
