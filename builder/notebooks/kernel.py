"""The kernel that a notebook is recorded in: this environment's, and the book's.

Two people who record a chapter on like machines should record the same. So whatever
changes what programs print, draw or compute is the book's; what says where things are,
on which device to run and how much of it to use stays the user's.
"""

import functools
import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager

from builder.notebooks.edition import editions
from builder.setup.requirements import ROOT
from builder.source.book import Book
from d2lext.core.frameworks import IDS

# Families of variables that the programs of a notebook read.
BOOKS = (
    "D2LEXT_*",  # the modes of a recording
    *("PYTHON*", "IPYTHON*", "JUPYTER*"),  # warnings, start-up files, another kernel
    *("MPL*", "MATPLOTLIB*"),  # how plots are drawn, and whether they are shown
    *("LANG*", "LC_*", "TZ"),  # how text and dates are written
    *(
        "COLUMNS",
        "LINES",
        "TERM",
        "COLORTERM",
        "*NO_COLOR",
        "*FORCE_COLOR",
        "CLICOLOR*",
    ),
    *("TQDM_*", "NUMPY_*", "NPY_*"),
    *("TORCH*", "PYTORCH_*", "JAX_*", "XLA_*", "FLAX_*"),  # precision, logs, compilers
    *("TF_*", "KERAS_*", "MXNET_*", "DMLC_*"),
    *("CUBLAS_*", "CUDNN_*", "NVIDIA_TF32_OVERRIDE", "NCCL_DEBUG*"),
    *("MKL_*", "ONEDNN_*", "DNNL_*", "OMP_*", "KMP_*"),
)
# Those of them that say where things are, or what to run on.
USERS = (
    *(
        "D2LEXT_DATA",
        "D2LEXT_CACHE",
        "PYTHONPATH",
        "PYTHONUSERBASE",
        "PYTHONNOUSERSITE",
    ),
    *("PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "MPLCONFIGDIR"),
    *("TORCH_HOME", "MXNET_HOME", "JAX_COMPILATION_CACHE_*", "JAX_PERSISTENT_CACHE_*"),
    *("JAX_PLATFORMS", "JAX_PLATFORM_NAME", "*_NUM_THREADS", "*_MAX_THREADS"),
    *("XLA_PYTHON_CLIENT_*", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR"),
    *("PYTORCH_*ALLOC_CONF", "MXNET_GPU_MEM_POOL_*", "OMP_PLACES", "OMP_PROC_BIND"),
    "KMP_AFFINITY",
)


# For a notebook that uses several frameworks: no card serves all of them in one process.
ON_CPU = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}


def environment(
    empty: Path, user: Mapping[str, str] = os.environ, **modes: object
) -> dict[str, str]:
    """A kernel's variables: those of the `user` that may pass, and the book's.

    Programs look for their settings in the folder `empty`. `modes` are the recording's,
    by the names of their variables after `D2LEXT_`.
    """
    passed = {
        name: value
        for name, value in user.items()
        if _is_any(name, USERS) or not _is_any(name, BOOKS)
    }
    return {
        **passed,
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "IPYTHONDIR": str(empty),
        "KERAS_HOME": str(empty),
        "MATPLOTLIBRC": os.devnull,
        "TQDM_DISABLE": "1",  # bars of the moment, of no use on paper
        **{f"D2LEXT_{name}": str(value or "") for name, value in modes.items()},
    }


@functools.cache
def frameworks(notebook: Path) -> tuple[str, ...]:
    """The frameworks that a notebook's code may import, as far as its path says them.

    The book's notebooks, students' and the instructor's are in a folder for a framework.
    """
    if (name := notebook.parent.name) not in IDS:
        return ()
    for edition in editions(Book(ROOT), backends=[name]):
        if edition.chapter.stem == notebook.stem:
            return edition.backends
    return (name,)


def _is_any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def manager(python: str) -> type[AsyncKernelManager]:
    """A class that starts kernels of `python`, whichever one is installed for the user."""

    class Manager(AsyncKernelManager):
        def _kernel_spec_manager_default(self) -> KernelSpecManager:
            return KernelSpecManager(kernel_dirs=[])

        def format_kernel_cmd(
            self, extra_arguments: list[str] | None = None
        ) -> list[str]:
            return [python, *super().format_kernel_cmd(extra_arguments)[1:]]

    return Manager
