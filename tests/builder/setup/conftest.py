"""Simulated machines: one without an active environment, and one with."""

import os
import shutil
import sys

import pytest
from shared import ROOT
from shared.machine import EVERYTHING, MINOR, Machine, distribution, project_in_place

from builder.setup import environment, installer, requirements, venv
from builder.setup import machine as facts


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A Linux machine with uv, and neither `.venv` nor an active environment."""
    root = tmp_path / "a böok #5 50%"
    root.mkdir()
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    result = Machine(root)
    result.programs["uv"] = "/usr/bin/uv"
    for module in (environment, requirements, venv):
        monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(installer, "run", result.run)
    monkeypatch.setattr(shutil, "which", lambda name, **_: result.programs.get(name))
    monkeypatch.setattr(installer, "offers", lambda *_: False)
    monkeypatch.setattr(facts, "ask_nvidia", lambda: result.nvidia)
    monkeypatch.setattr(facts, "has_nvidia_driver", lambda: bool(result.nvidia))
    monkeypatch.setattr(facts, "other_gpus", list)
    monkeypatch.setattr(facts, "kind", lambda: result.kind)
    monkeypatch.setattr(sys, "platform", "linux")
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
