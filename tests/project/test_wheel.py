"""The library by itself: its wheel, installed where there is nothing else of ours."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata

import pytest
from shared import ROOT
from shared.selected import SELECTED
from uv import find_uv_bin

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
    library = ROOT / "d2lext"
    records = (library / "core" / "training" / "recorded").iterdir()
    files = {p.relative_to(ROOT).as_posix() for p in [*library.rglob("*.py"), *records]}
    assert own == files


def example():
    """The README's code that trains."""
    text = (ROOT / "README.md").read_text("utf-8")
    [code] = [c for c in re.findall(r"```python\n(.*?)```", text, re.S) if ".fit(" in c]
    return code


def link(name, version, site):
    """Put an installed distribution into another environment; whether there is one.

    Its files are linked, and so is their bytecode, which takes long to make anew.
    """
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    if distribution.version != version:
        return False
    parts = {path.parts[0] for path in distribution.files or ()}
    for part in parts - {"..", "__pycache__"}:  # scripts are not needed
        (site / part).symlink_to(distribution.locate_file(part))
    return True


def test_the_readmes_example_runs_with_nothing_else(wheel, tmp_path):
    """It has what the wheel asks for, linked where the tests have the same version."""
    if "torch" not in SELECTED:
        pytest.skip("--backend chose others")
    # Without its own pip, which takes longer to install than to borrow.
    venv = [sys.executable, "-P", "-m", "venv", "--without-pip", tmp_path / "venv"]
    subprocess.run(venv, check=True)
    python = tmp_path / "venv" / "bin" / "python"
    [site] = (tmp_path / "venv").glob("lib/python3*/site-packages")
    # Not what lies in this folder, which the tests' own path holds.
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    wanted = tmp_path / "wanted.txt"
    wanted.write_text(f"d2lext[torch] @ {wheel.as_uri()}")
    choose = [find_uv_bin(), "pip", "compile", "--quiet", "--no-annotate"]
    choose += ["--python", python, wanted]
    choose += ["--constraint", requirements.ROOT / "constraints.txt"]
    of_uv = installer.uv_environment(env)
    choose += installer.torch_index(choose[0], None, [site], of_uv)
    done = installer.run(choose, of_uv)
    if re.search(installer.NO_NETWORK, done.stdout, re.IGNORECASE):
        pytest.skip("the package index cannot be reached, which has PyTorch")
    assert done.returncode == 0, done.stdout
    chosen = dict(re.findall(r"^([\w.-]+)==(\S+)", done.stdout, re.MULTILINE))
    assert "torch" in chosen
    missing = [
        f"{name}=={version}"
        for name, version in chosen.items()
        if not link(name, version, site)
    ]
    install = [sys.executable, "-P", "-m", "pip", "--python", python, "install"]
    install += ["--no-input", "--quiet"]
    install += ["--no-compile"]  # most modules are never imported
    install += installer.torch_index(None, None, [site], env)
    done = installer.run([*install, "--no-deps", wheel, *missing], env)
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
