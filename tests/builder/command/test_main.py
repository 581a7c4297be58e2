"""A command line that fails: its message and its exit status."""

import os
import subprocess
import sys

from shared import ROOT


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
