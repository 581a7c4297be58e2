"""On Colab, Kaggle and Studio Lab the install cell replaces nothing that is there."""

import json
import re
import shlex
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from builder.notebooks import colab
from builder.setup import installer, requirements
from builder.source.repository import Repository
from d2lext.core.frameworks import IDS

# What such images have of the library's requirements, with Python 3.12: the versions of
# different images and times. Kaggle holds matplotlib below 3.11, Colab IPython at 7.34.
COLAB = """h5py==3.15.1 ipython==7.34.0 matplotlib==3.10.0 matplotlib-inline==0.2.1
numpy==2.0.2 pandas==2.2.2 pillow==11.3.0 pooch==1.8.2 requests==2.32.4 tqdm==4.67.1
safetensors==0.7.0 torch==2.9.0+cu126 jax==0.7.2 jaxlib==0.7.2 flax==0.10.7 optax==0.2.6
tensorflow==2.19.0 keras==3.10.0 ml-dtypes==0.5.4 setuptools==75.2.0 graphviz==0.21"""
KAGGLE = """h5py==3.13.0 ipython==7.34.0 matplotlib==3.10.0 matplotlib-inline==0.1.7
numpy==1.26.4 pandas==2.2.3 pillow==11.1.0 pooch==1.8.2 requests==2.32.3 tqdm==4.67.1
safetensors==0.5.3 torch==2.6.0+cu124 jax==0.6.2 jaxlib==0.6.2 flax==0.10.6 optax==0.2.5
tensorflow==2.18.0 keras==3.8.0 ml-dtypes==0.4.1 setuptools==75.1.0 graphviz==0.20.3"""
STUDIO_LAB = """ipython==8.37.0 matplotlib==3.10.3 matplotlib-inline==0.1.7 numpy==1.26.4
pandas==2.3.1 pillow==11.2.1 requests==2.32.4 tqdm==4.67.1 torch==2.6.0 h5py==3.14.0
setuptools==80.9.0"""
HOSTS = {"colab": COLAB, "kaggle": KAGGLE, "studio-lab": STUDIO_LAB}
NEEDS = {  # of what is installed, as far as it decides what else fits
    "jax": ["jaxlib", "ml_dtypes>=0.4.0", "numpy>=1.25"],
    "flax": ["jax>=0.5.1", "optax"],
    "optax": ["jax>=0.4.27"],
    "tensorflow": ["keras>=3.5.0", "ml-dtypes<1.0.0,>=0.4.0", "h5py>=3.11.0"],
}


@pytest.fixture(params=HOSTS)
def host(request):
    """The versions that are installed on a host, by name."""
    return dict(each.split("==") for each in HOSTS[request.param].split())


@pytest.mark.parametrize("backend", IDS)
def test_what_is_there_meets_the_requirements(host, backend):
    for line in requirements.asked_for(["base", backend])[0]:
        requirement = Requirement(line)
        if version := host.get(requirements.name_of(line)):
            assert requirement.specifier.contains(version), line


def words(backend):
    """What the cell for a framework tells pip to install, with dependencies."""
    cell = colab._cell(Repository("https://github.com/owner/book"), [backend])
    text = cell.source.replace("\\\n", " ")
    [line] = [line for line in text.splitlines() if "git+" in line]
    given = [word for word in shlex.split(line)[2:] if not word.startswith("-")]
    return [word for word in given if not word.startswith(("/tmp/", "git+"))]


def installed(site, versions):
    """The traces of installed distributions in a folder."""
    for name, version in versions.items():
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        lines = [f"Name: {name}", f"Version: {version}", "Metadata-Version: 2.1"]
        lines += [f"Requires-Dist: {need}" for need in NEEDS.get(name, [])]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "RECORD").write_text("")
        (info / "INSTALLER").write_text("pip\n")


@pytest.mark.slow
def test_pip_replaces_nothing(host, tmp_path):
    venv = tmp_path / "venv"
    command = [sys.executable, "-P", "-m", "venv", "--without-pip", venv]
    subprocess.run(command, check=True)
    [site] = venv.glob("lib/python3*/site-packages")
    installed(site, host)
    constraints = tmp_path / "installed.txt"
    constraints.write_text("".join(f"{n}=={v}\n" for n, v in host.items()))
    command = [sys.executable, "-P", "-m", "pip", "--python", venv / "bin" / "python"]
    command += ["install", "--dry-run", "--quiet", "--no-input", "--only-binary=:all:"]
    command += ["--report", tmp_path / "report", "--constraint", constraints]
    # In place of the project from its repository: what it requires.
    base = requirements.asked_for(["base"])[0]
    done = installer.run([*command, *words("jax" if "jax" in host else "torch"), *base])
    if re.search(installer.NO_NETWORK, done.stdout, re.IGNORECASE):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stdout
    report = json.loads((tmp_path / "report").read_text())
    names = {each["metadata"]["name"].lower() for each in report["install"]}
    assert not names & set(host), names
