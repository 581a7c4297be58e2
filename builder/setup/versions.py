"""Environments with the oldest or the newest versions that the library allows.

For the library's tests, one for each framework. `.venv` has the versions of
constraints.txt. Standard library only.
"""

import re
import shutil
import sys

from builder.errors import BookError
from builder.setup import installer, requirements
from builder.setup.requirements import ROOT
from builder.setup.venv import Venv

# The first of these that is found. The oldest versions have no wheels for later Pythons,
# and TensorFlow has none for 3.14.
PYTHONS = {"oldest": ("3.10", "3.11", "3.12"), "newest": ("3.13", "3.12", "3.11")}
CHOICES = tuple(PYTHONS)
# For tests alone.
TOOLS = ["ipykernel", "nbclient", "nbformat", "pytest", "pytest-xdist", "scipy"]


def make(which: str, backend: str) -> tuple[str, str]:
    """A new environment for a framework: its interpreter, and what is installed there."""
    venv = Venv(ROOT / "_build" / "versions" / f"{which}-{backend}", {})
    base, python = _interpreter(which)
    shutil.rmtree(venv.folder, ignore_errors=True)
    uv = installer.find_uv()
    create = [uv, "venv", "--python", base] if uv else [base, "-m", "venv"]
    installer.step(f"creating {venv.folder} with {python}", [*create, venv.folder])
    # The framework first, because uv takes the newest version of what it meets first.
    normal, alone = requirements.asked_for([backend, "base"])
    names = list(map(requirements.name_of, [*normal, *alone]))
    if which == "oldest":
        normal = list(map(lowest, normal))
    installer.install(
        uv, str(venv.python), venv.sites, normal + TOOLS, alone, [], {}, False
    )
    have = requirements.installed(venv.sites)
    found = [f"{name} {have[name]}" for name in dict.fromkeys(names)]
    return str(venv.python), ", ".join([python, *found])


def lowest(requirement: str) -> str:
    """The requirement for the lowest version that it allows, and for no other."""
    return re.sub(r">=([^,;\s]+)[^;]*", r"==\1", requirement)


def _interpreter(which: str) -> tuple[str, str]:
    """The first of the Pythons for `which` versions that runs here, and its name."""
    here = "{}.{}".format(*sys.version_info)
    for version in PYTHONS[which]:
        # An active environment's would tie ours to it; a version manager's may not run.
        own = getattr(sys, "_base_executable", sys.executable)
        path = own if version == here else shutil.which(f"python{version}")
        answer = installer.run([path, "--version"]) if path else None
        if path and answer and answer.returncode == 0:
            return path, answer.stdout.strip()
    raise BookError(
        f"the {which} versions are for Python {', '.join(PYTHONS[which])}, got {here}: "
        f"install python{PYTHONS[which][-1]}, and run the same command again"
    )
