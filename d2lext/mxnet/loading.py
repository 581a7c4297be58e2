"""Imports MXNet 1.9.1 beside NumPy 2, or says how to install it.

Every other module of this package relies on `__init__.py` having imported this one
first: it prepares what MXNet reads once, when it is loaded.
"""

import os
import platform
import warnings

from d2lext.core.frameworks import needed_by
from d2lext.core.machine.processor import num_cores
from d2lext.mxnet import numpy1  # noqa: F401  gives back what NumPy 2 took away

# MXNet expects two threads on each core and therefore starts half as many threads as
# it counts, on machines without such pairs too. OMP_NUM_THREADS, if set, wins.
os.environ.setdefault("MXNET_OMP_MAX_THREADS", str(num_cores()))

with warnings.catch_warnings():
    # Its own: it asks distutils for versions and has invalid escapes in strings.
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", SyntaxWarning)
    try:
        with needed_by("mxnet"):
            from mxnet import npx
    except ImportError as error:
        if platform.machine() == "x86_64" and platform.system() in ("Linux", "Darwin"):
            raise
        raise ImportError(
            "MXNet exists for Linux and macOS on x86-64 only, and this is "
            f"{platform.system()} on {platform.machine()}: import d2lext.torch, "
            "d2lext.jax or d2lext.tensorflow instead",
            name="mxnet",
        ) from error
    except OSError as error:  # a library of the system that MXNet's own one needs
        raise ImportError(
            f"MXNet does not load ({error}). On Debian and Ubuntu its libraries come "
            "with: sudo apt-get install libgomp1 libquadmath0",
            name="mxnet",
        ) from error

# Arrays and shapes as NumPy has them; the chapters know no other kind.
npx.set_np()
