"""Imports MXNet 1.9.1 with NumPy 2, or says how to install it.

`__init__.py` imports this module before all others in the package: it sets what MXNet
reads only once, when it is loaded.
"""

import ctypes
import importlib.util
import os
import platform
import threading
import warnings
from pathlib import Path

from d2lext.core.frameworks import needed_by
from d2lext.core.machine.processor import num_cores
from d2lext.mxnet import numpy1  # noqa: F401  restores what NumPy 2 removed

# MXNet expects two hardware threads per core and therefore starts half as many threads
# as it counts, even on machines without hyperthreading. OMP_NUM_THREADS, if set, wins.
os.environ.setdefault("MXNET_OMP_MAX_THREADS", str(num_cores()))

# On GPUs, MXNet multiplies float32 as TensorFloat-32, unless NVIDIA's libraries, which are
# loaded with it, find this variable.
_OVERRIDE = "NVIDIA_TF32_OVERRIDE"
_is_set = _OVERRIDE in os.environ
os.environ.setdefault(_OVERRIDE, "0")

# What the builds for GPUs link, but for the driver's library: as NVIDIA's packages have it.
_CUDA = (
    "cuda_runtime/lib/libcudart.so.11.0",
    "cublas/lib/libcublas.so.11",
    "cuda_nvrtc/lib/libnvrtc.so.11.2",
    "cudnn/lib/libcudnn.so.8",
    "cufft/lib/libcufft.so.10",
    "curand/lib/libcurand.so.10",
    "cusparse/lib/libcusparse.so.11",
    "cusolver/lib/libcusolver.so.11",
    "nccl/lib/libnccl.so.2",
    "nvtx/lib/libnvToolsExt.so.1",
)


def _load_cuda():
    """Load CUDA 11 from its packages, in which MXNet's library does not look for it."""
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec and spec.submodule_search_locations) or ():
        paths = [Path(folder, name) for name in _CUDA]
        if paths[0].exists():  # else some have these names in another CUDA
            for path in filter(Path.exists, paths):
                ctypes.CDLL(str(path))


with warnings.catch_warnings():
    # MXNet's own: it uses distutils and has invalid escapes in strings.
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", SyntaxWarning)
    try:
        _load_cuda()
        with needed_by("mxnet"):
            from mxnet import npx, runtime, util
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
        remedy = (
            "On Debian and Ubuntu, install what it needs with: sudo apt-get install "
            "libgomp1 libquadmath0"
        )
        if any(name in str(error) for name in ("libcu", "libnv", "libnccl")):
            remedy = (
                "This build is for GPUs, with NVIDIA's driver and CUDA 11. For the CPU, "
                "run python build.py setup, or in an environment of your own: "
                "pip install --force-reinstall --no-deps mxnet==1.9.1"
            )
        raise ImportError(
            f"MXNet does not load ({error}). {remedy}", name="mxnet"
        ) from error

if not (_is_set or runtime.Features().is_enabled("CUDA")):
    del os.environ[_OVERRIDE]  # of the other frameworks in the process


class _InEveryThread(threading.local):
    value = util._NumpyArrayScope(True)


# Arrays and shapes as in NumPy, which the chapters use throughout. MXNet offers this for
# the current thread only; its library knows 2 for all threads.
npx.set_np()
util.set_np_shape(2)
util._NumpyArrayScope._current = _InEveryThread()
