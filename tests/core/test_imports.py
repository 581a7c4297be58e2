"""What the core imports, and what it leaves alone."""

import subprocess
import sys

CODE = """
import importlib, pkgutil, sys, d2lext.core as core
for module in pkgutil.walk_packages(core.__path__, "d2lext.core."):
    importlib.import_module(module.name)
print({name.partition(".")[0] for name in sys.modules} & set(sys.argv[1:]))
"""
HEAVY = "torch", "jax", "tensorflow", "keras", "mxnet", "matplotlib"
ROOMS = "builder", "benchmarks"


def test_the_core_imports_no_framework_and_no_other_room():
    result = subprocess.run(
        [sys.executable, "-c", CODE, *HEAVY, *ROOMS], capture_output=True, text=True
    )
    assert result.stdout.strip() == "set()", result.stderr
