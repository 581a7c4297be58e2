"""JupyterLab's kernels: each notebook's where its framework trains.

Loaded by JupyterLab itself, which `build.py lab` tells to.
"""

import sys
from pathlib import Path
from typing import Any

from jupyter_server.services.kernels.kernelmanager import ServerKernelManager

from builder.notebooks import kernel
from builder.setup.environment import interpreter


class Manager(ServerKernelManager):
    """Starts a kernel of the environment that its notebook's framework trains in."""

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
