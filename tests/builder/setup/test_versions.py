"""The environments of the oldest and the newest versions, and what they resolve to."""

import os
import subprocess
import sys

import pytest
from shared import ROOT

from builder.command import arguments
from builder.command.verbs import project
from builder.errors import BookError
from builder.setup import requirements, versions


@pytest.fixture
def other(machine, monkeypatch):
    """The machine, with the Pythons 3.10 and 3.13 and none other."""
    monkeypatch.setattr(versions, "ROOT", machine.root)
    for version in ("3.10", "3.13"):
        machine.programs[f"python{version}"] = f"/usr/bin/python{version}"
    return machine


def test_the_lowest_version_of_a_range():
    assert versions.lowest("numpy>=1.26,<3") == "numpy==1.26"
    marked = "keras>=3.4; sys_platform == 'linux'"
    assert versions.lowest(marked) == "keras==3.4; sys_platform == 'linux'"


@pytest.mark.parametrize(("which", "python"), [("oldest", "3.10"), ("newest", "3.13")])
def test_an_environment_of_its_own(other, which, python):
    found, _ = versions.make(which, "torch")
    venv = other.root / "_build" / "versions" / f"{which}-torch"
    assert found == str(venv / "bin" / "python")
    [made] = [command for command in other.commands if "venv" in command]
    assert made[made.index("--python") + 1] == f"/usr/bin/python{python}"
    normal, alone = other.installs()
    bounds = requirements.asked_for(["torch", "base"])[0]
    if which == "oldest":
        bounds = list(map(versions.lowest, bounds))
    assert normal == [*bounds, *versions.TOOLS]
    assert alone == ["--no-deps", "d2l==1.0.3"]
    assert not other.venv.exists()


def test_no_python_for_the_oldest_versions(other, monkeypatch):
    other.programs.clear()
    monkeypatch.setattr(sys, "version_info", (3, 13, 0, "final", 0))
    with pytest.raises(BookError, match=r"for Python 3.10, 3.11, 3.12, got 3.13: inst"):
        versions.make("oldest", "torch")


def test_the_library_alone_is_tested_there(monkeypatch, tmp_path, capsys):
    argv = ["test", "--versions", "oldest", "--backend", "jax", "--backend", "torch"]
    args = arguments.parse(argv)
    assert arguments.needs(args) == set()
    called, statuses = [], iter([1, 0])

    def call(command, env, cwd):
        called.append((command[0], env["D2LEXT_BACKENDS"]))
        assert {"tests/core", "tests/backends"} < set(command)
        assert not {"tests", "--nbval"} & set(command)
        return next(statuses)

    monkeypatch.setattr(versions, "make", lambda *of: (" ".join(of), "numpy 1.26.0"))
    monkeypatch.setattr(project.subprocess, "call", call)
    assert project.test(args, tmp_path) == 1
    assert called == [("oldest jax", "jax"), ("oldest torch", "torch")]
    assert "PyTorch, oldest versions: numpy 1.26.0" in capsys.readouterr().out


def test_the_librarys_tests_need_nothing_of_the_book():
    """Their environments lack what the builder requires."""
    code = "import runpy, sys; runpy.run_path('tests/conftest.py'); print(*sys.modules)"
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "shared" in done.stdout.split()
    assert [name for name in done.stdout.split() if name.startswith("builder")] == []
