"""The command line: verbs, help, what each verb needs, and its errors."""

import os
import subprocess
import sys

import pytest
from shared import ROOT

from builder.command import cli
from builder.errors import BookError


@pytest.mark.parametrize(
    ("argv", "verb", "backend"),
    [
        ([], "all", None),
        (["--backend", "tf"], "all", ["tensorflow"]),
        (["run", "densenet", "--backend", "jax"], "run", ["jax"]),
        (["test", "--quick"], "test", None),
        (["lab", "--backend", "pytorch", "--backend", "torch"], "lab", ["torch"]),
    ],
)
def test_parsing(argv, verb, backend):
    args = cli.parse(argv)
    assert (args.verb, args.backend) == (verb, backend)


def test_each_verb_needs_what_it_runs():
    def needs(*argv):
        return cli.needs(cli.parse(argv))

    assert needs() == needs("html") == {"book"}
    assert needs("run", "--backend", "jax") == {"book", "jax"}
    assert needs("test") == {"book", "test", "torch", "mxnet", "jax", "tensorflow"}
    assert needs("setup", "--backend", "tf") == {"book", "test", "tensorflow"}
    assert "lab" in needs("setup")


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as done:
        cli.parse([verb, "--help"])
    assert done.value.code == 0
    assert "Example: python build.py" in capsys.readouterr().out


def main(*argv, env=()):
    # As build.py starts it: the builder finds itself.
    command = [sys.executable, "-P", str(ROOT / "builder" / "__main__.py"), *argv]
    env = {**os.environ, **dict(env)}
    env.pop("PYTHONPATH", None)
    return subprocess.run(command, capture_output=True, text=True, env=env)


def test_an_unknown_backend():
    with pytest.raises(BookError, match="unknown backend 'theano': choose from torch"):
        cli.parse(["run", "--backend", "theano"])
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
    result = main("run", "--backend", "jax", env={"D2LEXT_DATA": "/nonexistent"})
    assert result.returncode == 1
    assert result.stderr.startswith("error: D2LEXT_DATA must name a folder")
    assert "Traceback" not in result.stderr


def test_an_unknown_verb():
    result = main("biuld")
    assert result.returncode == 2
    assert "choose from" in result.stderr


def test_only_a_complete_build_without_changes_is_left_alone(tmp_path):
    for folder in ("chapters", "notebooks", "d2lext", "_build/html"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "constraints.txt").write_text("")
    (tmp_path / "chapters" / "01-tiny.md").write_text("# Tiny")
    assert not cli.unchanged(tmp_path)
    (tmp_path / "_build" / "complete").write_text(cli.state(tmp_path))
    assert not cli.unchanged(tmp_path), "there is no site yet"
    cli.site(tmp_path).write_text("page")
    assert cli.unchanged(tmp_path)
    (tmp_path / "chapters" / "01-tiny.md").write_text("# Tiny!")
    assert not cli.unchanged(tmp_path)


def test_no_mxnet_where_it_has_no_wheels(monkeypatch):
    from builder.command import commands

    monkeypatch.setattr(commands.environment, "mxnet_has_wheels", lambda: False)
    assert "mxnet" not in commands._backends(cli.parse(["test"]))
    assert commands._backends(cli.parse(["test", "--backend", "mxnet"])) == ["mxnet"]
    monkeypatch.setattr(commands.environment, "mxnet_has_wheels", lambda: True)
    assert "mxnet" in commands._backends(cli.parse(["test"]))
