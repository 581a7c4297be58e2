"""The frameworks that this run of the tests is for, and their packages."""

import importlib
import os

import pytest

from d2lext.core.frameworks import IDS

# Those that D2LEXT_BACKENDS names; none named means all.
BACKENDS = [name for name in os.environ.get("D2LEXT_BACKENDS", "").split(",") if name]
SELECTED = tuple(BACKENDS) or IDS


def d2l(backend):
    """The library's package for `backend`."""
    return importlib.import_module(f"d2lext.{backend}")


def d2l_or_skip(backend):
    """As `d2l`; where the framework is not installed or not selected, a skip.

    Only then the library says why, and raises from the framework's own error.
    """
    if backend not in SELECTED:
        pytest.skip(f"{backend} is not selected", allow_module_level=True)
    try:
        return d2l(backend)
    except ImportError as error:
        if error.__cause__ is None:
            raise
        pytest.skip(str(error), allow_module_level=True)


def in_backends(*names, slow=()):
    """A mark: of the selected frameworks, the fixture `backend` takes these alone.

    In those that are `slow` the test is left to the whole run.
    """
    params = [
        pytest.param(name, marks=pytest.mark.slow if name in slow else ())
        for name in names
        if name in SELECTED
    ]
    return pytest.mark.parametrize("backend", params, indirect=True)
