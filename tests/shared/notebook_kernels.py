"""A plugin of pytest: a notebook is tested in the environment that it is recorded in.

Pytest calls no hook of tests/conftest.py for notebooks, as they are in another folder.
"""

import os
import tempfile
from pathlib import Path
from unittest import mock

import pytest

# For JAX. XLA's older emitters of fusions write programs in less than half the time.
COMPILED_QUICKLY = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false",
}

empty = tempfile.TemporaryDirectory(prefix="settings-")  # until this process ends


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    """Let nbval start kernels in the book's environment; training takes a few steps.

    JAX compiles with few optimizations, as in other tests: it takes most of the time.
    """
    if item.path.suffix != ".ipynb":
        return (yield)
    # Only here: `test --versions` runs where the book's own requirements are missing.
    from builder.notebooks import kernel

    variables = kernel.environment(Path(empty.name), FAST=1)
    variables |= COMPILED_QUICKLY
    if len(kernel.frameworks(item.path)) > 1:
        variables |= kernel.ON_CPU
    with mock.patch.dict(os.environ, variables, clear=True):
        return (yield)
