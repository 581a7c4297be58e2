"""Python processes of a test's own."""

import os
import subprocess
import sys

from shared import ROOT


def python(code, *arguments, **variables):
    """What a process says to `code`. It finds the project and the tests' `shared`.

    `variables` are those of its environment; one that is None is not set.
    """
    command = [sys.executable, "-c", code, *map(str, arguments)]
    variables = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", **variables}
    environment = {
        name: value
        for name, value in {**os.environ, **variables}.items()
        if value is not None
    }
    return subprocess.run(command, capture_output=True, text=True, env=environment)
