"""Imports MXNet 1.9.1 beside NumPy 2, or says how to install it.

Every other module of this package relies on `__init__.py` having imported this one
first: it prepares what MXNet reads once, when it is loaded.
"""

import os
import platform
import warnings

from d2lext.core import numpy1  # noqa: F401  MXNet asks for names that NumPy dropped


def _usable_cores():
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count()


def _remedy(error):
    if platform.system() not in ("Linux", "Darwin") or platform.machine() != "x86_64":
        return (
            "it exists for Linux and macOS on x86-64 only, and this is "
            f"{platform.system()} on {platform.machine()}. Use another backend: "
            "torch, jax or tensorflow"
        )
    if isinstance(error, OSError):  # a library of the system that the wheel links
        return f"{error}. On Debian and Ubuntu: sudo apt-get install libgomp1 libquadmath0"
    return f"{error}. Install it: python build.py setup --backend mxnet"


# MXNet counts two threads to a core and starts half as many, on virtual machines
# too: training takes about twice as long. A value that is already set stays.
os.environ.setdefault("OMP_NUM_THREADS", str(_usable_cores()))

with warnings.catch_warnings():
    # Of its own making: it calls distutils and has invalid escapes in its strings.
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", SyntaxWarning)
    try:
        from mxnet import npx
    except (ImportError, OSError, RuntimeError) as error:
        raise ImportError(
            f"d2lext.mxnet needs MXNet 1.9.1: {_remedy(error)}", name="mxnet"
        ) from error

# Arrays and shapes as NumPy has them, scalars included.
npx.set_np()
