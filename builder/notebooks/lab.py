"""What JupyterLab is told of the book: whom to trust, and where each framework trains."""

import contextlib
import sys
from pathlib import Path
from typing import Any

import nbformat
from jupyter_core.paths import jupyter_data_dir
from jupyter_core.utils import ensure_dir_exists
from jupyter_server.services.kernels.kernelmanager import ServerKernelManager
from nbformat.sign import NotebookNotary

from builder.notebooks import kernel
from builder.setup.environment import interpreter


def trust(folder: Path) -> None:
    """Sign the notebooks below `folder`, as `jupyter trust` does.

    JupyterLab hides the drawings that were recorded in a notebook without the signature
    of its user.
    """
    of_user = jupyter_data_dir()
    ensure_dir_exists(of_user, mode=0o700)
    # Given its folder, it makes no application, which would configure logging anew.
    notary = NotebookNotary(data_dir=of_user)
    for path in sorted(folder.rglob("*.ipynb")):
        # JupyterLab itself says what is wrong with a damaged one, and opens the others.
        with contextlib.suppress(Exception):  # nbformat raises many kinds
            notary.sign(nbformat.read(path, as_version=4))


class Manager(ServerKernelManager):
    """Starts a kernel of the environment that its notebook's framework trains in.

    JupyterLab itself loads it, if `build.py lab` says so.
    """

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """The command that starts the kernel; a kernel of another language's is kept."""
        command = super().format_kernel_cmd(extra_arguments)
        arguments: Any = self._launch_args or {}
        variables: dict[str, str] = arguments.get("env", {})
        names = kernel.frameworks(Path(variables.get("JPY_SESSION_NAME", "")))
        if len(names) > 1:
            variables.update(kernel.ON_CPU)
        if command[0] == sys.executable:
            command[0] = interpreter(names)
        return command
