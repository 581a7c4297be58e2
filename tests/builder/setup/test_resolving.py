"""Each environment of each kind of machine resolves; nothing is downloaded but metadata."""

import os
import re
import subprocess
import sys

import pytest
from shared import ROOT
from shared.machine import EVERYTHING
from uv import find_uv_bin

from builder.setup import builds, environment, installer, requirements
from builder.setup import machine as facts
from d2lext.core.frameworks import IDS

PLATFORMS = {
    "linux-x86_64": "x86_64-manylinux_2_28",
    "linux-aarch64": "aarch64-manylinux_2_28",
    "win32-amd64": "x86_64-pc-windows-msvc",
    "darwin-arm64": "aarch64-apple-darwin",
    "darwin-x86_64": "x86_64-apple-darwin",
}
MACHINES = [
    ("linux-x86_64", "580.65.06, 8.6"),
    ("linux-x86_64", "550.144.03, 9.0"),
    ("linux-aarch64", "580.65.06, 9.0"),
    ("win32-amd64", ""),
    ("darwin-arm64", ""),
    ("darwin-x86_64", ""),
]


def resolved(wanted, kind):
    """The versions that uv would install on another kind of machine."""
    command = [
        find_uv_bin(),
        "pip",
        "compile",
        "--quiet",
        "--no-header",
        "--no-annotate",
        "-",
    ]
    command += ["--python-platform", PLATFORMS[kind], "--python-version", "3.12"]
    command += ["--python", sys.executable]  # for which it would search
    command += ["--only-binary", ":all:", "--constraint", str(ROOT / "constraints.txt")]
    done = subprocess.run(
        command,
        input="\n".join(wanted),
        env=installer.uv_environment(os.environ) | {"MACOSX_DEPLOYMENT_TARGET": "14.0"},
        capture_output=True,
        text=True,
    )
    if re.search(installer.NO_NETWORK, done.stderr, re.IGNORECASE):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^([\w.-]+)==(\S+)", done.stdout, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "said"), MACHINES)
def test_environments_resolve(monkeypatch, capsys, kind, said):
    monkeypatch.setattr(facts, "kind", lambda: kind)
    # PyTorch's own indexes are no part of what can be asked for everywhere.
    choice = builds.choose("cuda11", said, lambda *_: False)
    # JupyterLab needs a package that only a compiler makes on Macs with Intel processors.
    extras = {"book", *IDS} if kind == "darwin-x86_64" else EVERYTHING
    needs = environment._installable(extras)
    for venv, extras in environment._plan(needs, choice):
        normal, _ = requirements.asked_for(extras, venv.builds)
        versions = resolved(normal, kind)
        for name in set(extras) & {"torch", "jax", "tensorflow"}:
            found = versions.get(name) or versions[f"{name}-cpu"]
            assert found.partition("+")[0] == requirements.pin(name)
        # CUDA 13's packages say it in the name, or nothing; those of others say it.
        nvidia = [name for name in versions if name.startswith("nvidia-")]
        majors = {(re.findall(r"-cu(\d+)$", name) or ["13"])[0] for name in nvidia}
        if venv.builds:
            named = re.findall(r"cuda(\d+)", venv.folder.name)
            assert majors == set(named or ["13"])
        if "mxnet" in venv.builds:
            assert versions["nvidia-cudnn-cu11"].startswith("8.")
        if "nvidia-nvvm" in versions:
            assert versions["nvidia-nvvm"] == versions["nvidia-cuda-nvcc"] == "13.0.88"
