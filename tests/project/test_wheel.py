"""The library by itself: its wheel, installed where there is nothing else of ours."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from shared import ROOT
from shared.selected import SELECTED

from builder.setup import installer, requirements

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the project as it is."""
    # Of a copy: setuptools writes into the folder that it builds, and `check` reads ours.
    folder = tmp_path_factory.mktemp("wheel")
    other = shutil.ignore_patterns(".*", "_build", "build", "*.egg-info", "__pycache__")
    source = shutil.copytree(ROOT, folder / "source", ignore=other)
    command = [sys.executable, "-P", "-m", "pip", "wheel", "--quiet", "--no-deps"]
    done = installer.run([*command, "--wheel-dir", folder, source])
    if re.search(installer.NO_NETWORK, done.stdout, re.IGNORECASE):
        pytest.skip(
            "the package index cannot be reached, which has what builds a wheel"
        )
    assert done.returncode == 0, done.stdout
    [path] = folder.glob("*.whl")
    return path


def test_it_holds_the_library_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    own = {name for name in names if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in own} == {"d2lext"}
    files = {p.relative_to(ROOT).as_posix() for p in (ROOT / "d2lext").rglob("*.py")}
    assert own == files


def example():
    """The README's code that trains."""
    text = (ROOT / "README.md").read_text("utf-8")
    [code] = [c for c in re.findall(r"```python\n(.*?)```", text, re.S) if ".fit(" in c]
    return code


def test_the_readmes_example_runs_with_nothing_else(wheel, tmp_path):
    if "torch" not in SELECTED:
        pytest.skip("--backend chose others")
    # Without its own pip, which takes longer to install than to borrow.
    venv = [sys.executable, "-P", "-m", "venv", "--without-pip", tmp_path / "venv"]
    subprocess.run(venv, check=True)
    python = tmp_path / "venv" / "bin" / "python"
    sites = list((tmp_path / "venv").glob("lib/python3*/site-packages"))
    command = [sys.executable, "-P", "-m", "pip", "--python", python]
    command += ["install", "--no-input", "--quiet"]
    command += ["--no-compile"]  # most modules are never imported
    command += ["--constraint", requirements.ROOT / "constraints.txt"]
    # Not what lies in this folder, which the tests' own path holds.
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    command += installer.torch_index(None, None, sites, env)
    done = installer.run([*command, f"{wheel}[torch]"], env)
    if re.search(installer.NO_NETWORK, done.stdout, re.IGNORECASE):
        pytest.skip("the package index cannot be reached, which has PyTorch")
    assert done.returncode == 0, done.stdout
    env |= {"D2LEXT_FAST": "1", "D2LEXT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [python, "-c", example()], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"validation loss \d\.\d+, validation accuracy 0\.\d+", done.stdout
    )
    assert (tmp_path / "run.npz").is_file()
