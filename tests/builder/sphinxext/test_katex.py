"""Where KaTeX comes from."""

import subprocess

import pytest

from builder.errors import BookError
from builder.sphinxext import katex

NAME = f"katex-{katex.VERSION}.tgz"


def test_it_may_lie_beside_the_wheels(monkeypatch, tmp_path):
    (tmp_path / NAME).touch()
    monkeypatch.setenv("PIP_FIND_LINKS", f"/nowhere {tmp_path.as_uri()}")
    monkeypatch.setattr(subprocess, "run", pytest.fail)
    assert katex._fetch(tmp_path / "new") == tmp_path / NAME


def test_npm_needs_no_home(monkeypatch, tmp_path):
    commands = []

    def run(command, **_):
        commands.append(command)
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(BookError, match=f"put {NAME} into a folder"):
        katex._fetch(tmp_path)
    [command] = commands
    assert command[command.index("--cache") + 1] == str(tmp_path / "cache")
