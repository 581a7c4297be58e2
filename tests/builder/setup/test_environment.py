"""Set-up: the commands that it runs, on simulated machines of every kind."""

import fcntl
import importlib.util
import shutil
import sys
import threading
from pathlib import Path

import pytest
from shared.machine import EVERYTHING, distribution, project_in_place

from builder.errors import BookError
from builder.setup import environment, installer, requirements
from d2lext.core.frameworks import IDS


def test_uv_creates_and_fills_the_environment(machine):
    python = environment.ensure({"book"})
    assert python == str(machine.venv / "bin/python")
    assert all(command[0] == "/usr/bin/uv" for command in machine.commands)
    (made,) = (command for command in machine.commands if "venv" in command)
    # an active environment's interpreter would tie .venv to that environment
    assert made[made.index("--python") + 1] == sys._base_executable
    normal, project = machine.installs()
    assert {"sphinx", "nbclient", "numpy"} < set(map(requirements.name_of, normal))
    assert project == ["--no-deps", "--editable", "."]
    for command in machine.commands[2:]:
        assert command[command.index("--python") + 1] == python
        assert str(machine.root / "constraints.txt") in command


@pytest.mark.parametrize("kind", ["darwin-arm64", "linux-aarch64", "win32-amd64"])
def test_mxnet_is_left_out_kindly(machine, capsys, kind):
    machine.kind = kind
    environment.ensure(set(IDS))
    assert (
        f"skipped: MXNet, without a current build for {kind}" in capsys.readouterr().err
    )
    names = {requirements.name_of(r) for r in machine.installs()[0]}
    assert {"torch", "jax", "tensorflow"} < names
    assert machine.installs()[1] == ["--no-deps", "d2l==1.0.3"]


def test_macs_with_intel_processors_have_mxnet_alone(machine, capsys):
    machine.kind = "darwin-x86_64"
    environment.ensure(set(IDS))
    told = capsys.readouterr().err
    assert "skipped: PyTorch, JAX, TensorFlow, without" in told
    assert "an Apple processor needs a Python for arm64" in told
    assert machine.installs()[1] == ["--no-deps", "d2l==1.0.3", "mxnet==1.9.1"]


def test_a_missing_venv_module_names_its_package(machine, monkeypatch):
    machine.programs.clear()
    machine.venv.mkdir()
    (machine.venv / "kept").touch()
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ensurepip" else name
    )
    with pytest.raises(BookError, match="apt install python3-venv") as raised:
        environment.ensure({"book"})
    assert "\n" not in str(raised.value)
    assert (machine.venv / "kept").exists()
    assert not machine.commands


def test_nothing_is_run_if_everything_is_installed(machine):
    environment.ensure({"book", "torch"})
    machine.commands.clear()
    for needs in (set(), {"book"}, {"book", "torch"}):
        environment.ensure(needs)
    assert not machine.commands


def test_only_what_is_missing_is_added(machine):
    environment.ensure({"book"})
    machine.commands.clear()
    environment.ensure({"book", "jax"})
    assert "jax>=0.6.2" in machine.installs()[0]
    assert not any("venv" in command for command in machine.commands)
    assert machine.installs()[-1] == ["--no-deps", "d2l==1.0.3"]


def test_what_was_uninstalled_is_noticed(machine):
    environment.ensure({"torch"})
    (info,) = machine.site.glob("torch-*.dist-info")
    shutil.rmtree(info)
    environment.ensure({"torch"})
    assert info.exists()


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_versions_are_noticed(machine, name):
    environment.ensure({"book"})
    machine.commands.clear()
    with open(machine.root / name, "a") as file:
        file.write("\n")
    environment.ensure({"book"})
    assert machine.installs()


def test_a_lost_interpreter_is_noticed(machine):
    python = environment.ensure({"book"})
    Path(python).unlink()
    environment.ensure({"book"})
    assert Path(python).exists()


def break_interpreter(machine):
    (machine.venv / "bin/python").unlink()


def break_start(machine):
    machine.answers["-I"] = (1, "Fatal Python error")


def break_prefix(machine):
    machine.answers["-I"] = (0, f"/usr\n{machine.site}\nTrue\n")


def break_version(machine):
    machine.answers["-I"] = (0, f"{machine.venv}\n{machine.site}\nFalse\n")


def break_pip(machine):
    machine.programs.clear()
    machine.answers["--version"] = (1, "No module named pip")


def break_place(machine):
    project_in_place(machine.site, machine.root.parent / "elsewhere")


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (break_interpreter, "it has no interpreter"),
        (break_start, "its interpreter does not run"),
        (break_prefix, "it is incomplete"),
        (break_version, "its Python is not"),
        (break_pip, "it has no working pip"),
        (break_place, "it was made for another folder"),
    ],
)
def test_a_damaged_environment_is_recreated(machine, capsys, damage, fault):
    environment.ensure({"book"})
    (machine.venv / "set-up" / "book").unlink()
    machine.commands.clear()
    damage(machine)
    environment.ensure({"book"})
    assert f"recreating .venv: {fault}" in capsys.readouterr().err
    assert any("venv" in command for command in machine.commands)
    assert len(machine.installs()) == 2


def test_an_environment_without_stamps_is_adopted(machine):
    machine.make_venv()
    environment.ensure({"book"})
    assert not any("venv" in command for command in machine.commands)
    assert machine.installs()


def test_an_interrupted_set_up_is_repaired(machine):
    environment.ensure({"book"})
    machine.interrupt_at = "--no-deps"
    with pytest.raises(KeyboardInterrupt):
        environment.ensure({"book", "torch"})
    (machine.site / "half.py").write_text("12")
    whole = distribution(machine.site, "whole", "1", "half.py,,2\nwhole/RECORD,,\n")
    short = distribution(machine.site, "short", "1", "half.py,,3\n")
    absent = distribution(machine.site, "absent", "1", "absent.py,,3\n")
    unrecorded = distribution(machine.site, "unrecorded", "1")
    (unrecorded / "RECORD").unlink()
    machine.interrupt_at = None
    machine.commands.clear()
    # what was installed before may be broken as well: do not trust it now
    environment.ensure({"book"})
    assert machine.installs()
    assert whole.exists()
    assert not short.exists()
    assert not absent.exists()
    assert not unrecorded.exists()
    machine.commands.clear()
    environment.ensure({"book"})
    assert not machine.commands


def test_two_set_ups_take_turns(machine, capsys):
    entered = threading.Event()

    def second():
        with environment._lock():
            entered.set()

    with open(machine.root / "pyproject.toml", "r+b") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.2)
        fcntl.flock(first, fcntl.LOCK_UN)
        assert entered.wait(5)
        thread.join()
    assert "waiting for another set-up" in capsys.readouterr().err


def test_a_complete_active_environment_is_used(machine, active):
    assert environment.ensure(EVERYTHING) == sys.executable
    assert not machine.commands
    assert not machine.venv.exists()


def test_so_is_a_conda_environment(machine, active, monkeypatch):
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    Path(sys.prefix, "conda-meta").mkdir()
    assert environment.ensure(EVERYTHING) == sys.executable
    assert not machine.commands


def test_our_own_environment_is_extended_if_active(machine, monkeypatch, capsys):
    machine.make_venv()
    monkeypatch.setattr(sys, "prefix", str(machine.venv))
    environment.ensure({"book"})
    assert machine.installs()
    assert "the active" not in capsys.readouterr().err


@pytest.mark.parametrize("version", [None, "0.6.1"])
def test_an_active_environment_that_lacks_something_stays_as_it_is(
    machine, active, capsys, version
):
    shutil.rmtree(next(active.glob("jax-*")))
    if version:
        distribution(active, "jax", version)
    assert environment.ensure({"torch"}) == sys.executable
    assert environment.ensure({"jax"}) == str(machine.venv / "bin/python")
    message = capsys.readouterr().err
    assert f"using .venv: the active {sys.prefix} lacks jax>=0.6.2\n" in message
    for command in machine.commands[2:]:
        assert str(machine.venv / "bin/python") in command


def test_a_d2lext_of_another_folder_is_not_ours(machine, active, capsys):
    project_in_place(active, machine.root.parent / "elsewhere")
    environment.ensure({"book"})
    assert "lacks d2lext\n" in capsys.readouterr().err


def test_nor_is_a_copy_of_this_one(machine, active, capsys):
    project_in_place(active, machine.root, editable=False)
    environment.ensure({"book"})
    assert "lacks d2lext\n" in capsys.readouterr().err


def test_set_up_fills_the_active_environment(machine, active):
    shutil.rmtree(next(active.glob("jax-*")))
    assert environment.ensure({"jax"}, is_setup=True) == sys.executable
    (command,) = (c for c in machine.commands if "install" in c)
    assert command[command.index("--python") + 1] == sys.executable
    assert machine.installs() == [["jax>=0.6.2"]]


def test_the_base_environment_of_conda_is_left_alone(machine, active):
    Path(sys.prefix, "condabin").mkdir()
    shutil.rmtree(next(active.glob("jax-*")))
    python = environment.ensure({"jax"}, is_setup=True)
    assert python == str(machine.venv / "bin/python")


def test_a_cpu_build_of_tensorflow_will_do(machine, active):
    (info,) = active.glob("tensorflow-*.dist-info")
    distribution(active, "tensorflow-cpu", requirements.pin("tensorflow-cpu"))
    shutil.rmtree(info)
    assert environment.ensure({"tensorflow"}) == sys.executable


def test_a_folder_that_cannot_be_written(machine, monkeypatch):
    def refuse(command, *_):
        raise PermissionError(13, "Permission denied", str(machine.venv))

    monkeypatch.setattr(installer, "run", refuse)
    with pytest.raises(BookError, match="Permission denied.*Make the folder writable"):
        environment.ensure({"book"})


def test_the_summary_names_what_is_ready(machine):
    python = environment.ensure({"book", "jax"})
    line = f"ready in {machine.venv}: jax {requirements.pin('jax')}, book"
    assert environment.summary(python, {"book", "jax"}) == line
