"""Imports MXNet 1.9.1 with NumPy 2, or says how to install it.

`__init__.py` imports this module before all others in the package: it sets what MXNet
reads only once, when it is loaded.
"""

import os
import platform
import threading
import warnings

from d2lext.core.frameworks import needed_by
from d2lext.core.machine.processor import num_cores
from d2lext.mxnet import numpy1  # noqa: F401  restores what NumPy 2 removed

# MXNet expects two hardware threads per core and therefore starts half as many threads
# as it counts, even on machines without hyperthreading. OMP_NUM_THREADS, if set, wins.
os.environ.setdefault("MXNET_OMP_MAX_THREADS", str(num_cores()))

with warnings.catch_warnings():
    # MXNet's own: it uses distutils and has invalid escapes in strings.
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", SyntaxWarning)
    try:
        with needed_by("mxnet"):
            from mxnet import npx, util
    except ImportError as error:
        if platform.machine() == "x86_64" and platform.system() in ("Linux", "Darwin"):
            raise
        raise ImportError(
            "MXNet runs only on Linux and macOS on x86-64, and this is "
            f"{platform.system()} on {platform.machine()}: import d2lext.torch, "
            "d2lext.jax or d2lext.tensorflow instead",
            name="mxnet",
        ) from error
    except OSError as error:  # a system library that MXNet's own needs is missing
        raise ImportError(
            f"MXNet does not load ({error}). On Debian and Ubuntu, install what it needs "
            "with: sudo apt-get install libgomp1 libquadmath0",
            name="mxnet",
        ) from error


class _InEveryThread(threading.local):
    value = util._NumpyArrayScope(True)


# Arrays and shapes as in NumPy, which the chapters use throughout. MXNet offers this for
# the current thread only; its library knows 2 for all threads.
npx.set_np()
util.set_np_shape(2)
util._NumpyArrayScope._current = _InEveryThread()
