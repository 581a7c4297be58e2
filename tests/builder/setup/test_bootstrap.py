"""build.py: runs on a bare Python, and hands over to the environment's."""

import ast
import importlib.util
import os
import subprocess
import sys

import pytest
from shared import ROOT

from builder.errors import BookError
from builder.setup import environment


def test_the_bootstrap_needs_nothing_installed():
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        "from builder.command import arguments; from builder.setup import environment"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)


@pytest.mark.parametrize("version", [(3, 6, 15), (3, 10, 13), (3, 14, 0)])
def test_an_unsupported_python_gets_one_line(version):
    program = (
        f"import runpy, sys; sys.version_info = {version!r}; "
        f"runpy.run_path({str(ROOT / 'build.py')!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert f"this is 3.{version[1]}" in done.stderr


def test_an_unsupported_python_can_read_the_bootstrap():
    tree = ast.parse((ROOT / "build.py").read_text(), feature_version=(3, 5))
    newer = (ast.JoinedStr, ast.NamedExpr, ast.AnnAssign, ast.Match)
    assert not [node for node in ast.walk(tree) if isinstance(node, newer)]


@pytest.fixture
def build(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))  # which it extends
    spec = importlib.util.spec_from_file_location("build", ROOT / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_is_handed_over(build, monkeypatch):
    handed_over = []
    monkeypatch.setattr(environment, "ensure", lambda needs, **_: "/python")
    monkeypatch.setattr(os, "execv", lambda *call: handed_over.append(call))
    monkeypatch.setattr(subprocess, "call", lambda command: 0)
    with pytest.raises(SystemExit):  # execv does not return; this one does
        build.main(["test", "--backend", "jax"])
    program = str(ROOT / "builder" / "__main__.py")
    command = ["/python", "-P", program, "test", "--backend", "jax"]
    assert handed_over == [("/python", command)]


def test_a_failed_set_up_is_one_message(build, monkeypatch):
    def ensure(needs, **_):
        raise BookError("no venv")

    monkeypatch.setattr(environment, "ensure", ensure)
    with pytest.raises(SystemExit, match="^error: no venv$"):
        build.main(["test"])


def test_an_interrupted_set_up_says_how_to_continue(build, monkeypatch, capsys):
    def ensure(needs, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "ensure", ensure)
    with pytest.raises(SystemExit) as raised:
        build.main(["test"])
    assert raised.value.code == 130
    assert "the same command again" in capsys.readouterr().err
