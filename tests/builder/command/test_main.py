"""A command line that fails: its message and its exit status."""

import errno
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from shared import ROOT

from builder.command import arguments
from builder.command import main as command_line
from builder.command.verbs import VERBS


def main(*argv, env=()):
    # As build.py starts it: the builder finds itself.
    command = [sys.executable, "-P", str(ROOT / "builder" / "__main__.py"), *argv]
    env = {**os.environ, **dict(env)}
    env.pop("PYTHONPATH", None)
    return subprocess.run(command, capture_output=True, text=True, env=env)


def test_an_unknown_backend():
    result = main("run", "--backend", "theano")
    assert result.returncode == 1
    assert result.stderr.startswith("error: unknown backend 'theano'")


def test_an_unknown_chapter():
    result = main("run", "densnet")
    assert result.returncode == 1
    assert "error: unknown chapter 'densnet': choose from densenet, " in result.stderr


def test_epochs_must_be_positive():
    result = main("run", "--epochs", "0")
    assert result.returncode == 2
    assert "must be an integer >= 1, got '0'" in result.stderr


@pytest.mark.parametrize("port", ["0", "80000", "-1", "http", "²"])
def test_a_port_that_is_none(port, capsys):
    with pytest.raises(SystemExit) as status:
        arguments.parse(["serve", f"--port={port}"])
    assert status.value.code == 2
    assert f"must be a port from 1 to 65535, got {port!r}" in capsys.readouterr().err


def test_a_disk_that_is_full_is_one_sentence(monkeypatch, capsys):
    def full(args, root):
        """Write all."""
        raise OSError(errno.ENOSPC, "No space left on device", "_build/complete")

    monkeypatch.setitem(VERBS, "html", replace(VERBS["html"], run=full))
    assert command_line.main(["html"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: _build/complete (No space left on device): free")


@pytest.mark.slow
def test_data_that_is_not_there():
    env = {"D2LEXT_DATA": "~/missing", "HOME": "/nonexistent"}
    result = main("run", "--backend", "jax", env=env)
    assert result.returncode == 1
    assert result.stderr.startswith("error: D2LEXT_DATA must name a folder")
    assert "got '/nonexistent/missing' (no such folder)" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_verb():
    result = main("biuld")
    assert result.returncode == 2
    assert "choose from" in result.stderr
