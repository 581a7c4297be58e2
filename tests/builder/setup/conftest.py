"""Simulated machines: one without an active environment, and one with."""

import os
import shutil
import sys
from types import SimpleNamespace

import pytest
from shared import ROOT
from shared.machine import EVERYTHING, MINOR, Machine, distribution, project_in_place

from builder.setup import environment, installer, requirements


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A Linux machine with uv, and neither `.venv` nor an active environment."""
    root = tmp_path / "book"
    root.mkdir()
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    result = Machine(root)
    result.programs["uv"] = "/usr/bin/uv"
    for module in (environment, requirements):
        monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(environment, "VENV", result.venv)
    monkeypatch.setattr(installer, "run", result.run)
    monkeypatch.setattr(shutil, "which", result.programs.get)
    monkeypatch.setattr(installer, "_has_nvidia_driver", lambda: False)
    monkeypatch.setattr(installer, "_is_reachable", lambda address: False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="x86_64"))
    usr = str(tmp_path / "usr")
    monkeypatch.setattr(sys, "prefix", usr)
    monkeypatch.setattr(sys, "base_prefix", usr)
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "SSL_CERT")):
            monkeypatch.delenv(name)
    return result


@pytest.fixture
def active(machine, tmp_path, monkeypatch):
    """The site-packages of an active virtual environment, which holds everything."""
    prefix = tmp_path / "active"
    site = prefix / f"lib/python3.{MINOR}/site-packages"
    for some in requirements.asked_for(["base", *EVERYTHING]):
        for requirement in some:
            name = requirements.name_of(requirement)
            distribution(site, name, requirements.pin(name))
    project_in_place(site, machine.root)
    monkeypatch.setattr(sys, "prefix", str(prefix))
    others = [path for path in sys.path if "site-packages" not in path]
    monkeypatch.setattr(sys, "path", [str(site), *others])
    return site
