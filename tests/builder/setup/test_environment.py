"""Set-up: the commands that it runs, on simulated machines of every kind."""

import ast
import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from shared import ROOT

from builder.errors import BookError
from builder.setup import environment, installer, requirements
from d2lext.core.frameworks import IDS

MINOR = sys.version_info.minor
EVERYTHING = {*IDS, "book", "lab", "test"}


def distribution(site, name, version, record=""):
    """Leave the traces of an installed distribution in a site-packages folder."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "RECORD").write_text(record)
    return info


def project_in_place(site, folder, editable=True):
    note = distribution(site, "d2lext", "0.1.0") / "direct_url.json"
    origin = {"url": folder.as_uri(), "dir_info": {"editable": editable}}
    note.write_text(json.dumps(origin))


class Machine:
    """A computer with fake tools, which record their commands and leave traces."""

    def __init__(self, root):
        self.root = root
        self.venv = root / ".venv"
        self.programs = {}  # what is on PATH
        self.commands = []
        self.environments = []
        self.answers = {}  # word in a command: exit status and output
        self.interrupt_at = None

    @property
    def site(self):
        return self.venv / f"lib/python3.{MINOR}/site-packages"

    def run(self, command, env=None):
        command = [str(part) for part in command]
        self.commands.append(command)
        self.environments.append(env)
        if self.interrupt_at in command:
            raise KeyboardInterrupt
        for word, (status, output) in self.answers.items():
            if word in command:
                return SimpleNamespace(returncode=status, stdout=output)
        output = ""
        if "venv" in command:
            self.make_venv()
        elif "install" in command:
            self.install(command[command.index("--constraint") + 2 :])
        elif "-c" in command:
            output = f"{self.venv}\n{self.site}\nTrue\n"
        return SimpleNamespace(returncode=0, stdout=output)

    def make_venv(self):
        assert not self.venv.exists(), "the old .venv must be removed first"
        (self.venv / "bin").mkdir(parents=True)
        self.site.mkdir(parents=True)
        python = self.venv / "bin/python"
        python.touch()
        python.chmod(0o755)

    def install(self, arguments):
        for argument in arguments:
            if argument == str(self.root):
                project_in_place(self.site, self.root)
            elif not argument.startswith("-") and "://" not in argument:
                name = requirements.name_of(argument)
                distribution(self.site, name, requirements.pin(name))

    def installs(self):
        """The commands that install, each without its path and constraints."""
        return [
            command[command.index("--constraint") + 2 :]
            for command in self.commands
            if "install" in command
        ]


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


def test_uv_creates_and_fills_the_environment(machine):
    python = environment.ensure({"book"})
    assert python == str(machine.venv / "bin/python")
    assert all(command[0] == "/usr/bin/uv" for command in machine.commands)
    (made,) = (command for command in machine.commands if "venv" in command)
    # an active environment's interpreter would tie .venv to that environment
    assert made[made.index("--python") + 1] == sys._base_executable
    normal, project = machine.installs()
    assert {"sphinx", "jupytext", "numpy"} < set(map(requirements.name_of, normal))
    assert project == ["--no-deps", "--editable", str(machine.root)]
    for command in machine.commands[2:]:
        assert command[command.index("--python") + 1] == python
        assert str(machine.root / "constraints.txt") in command


@pytest.mark.parametrize("shim", [None, "/shims/uv"], ids=["none", "dead shim"])
def test_pip_if_no_uv_runs(machine, shim):
    machine.programs["uv"] = shim
    machine.answers["/shims/uv"] = (127, "uv: command not found")
    python = environment.ensure({"book"})
    made, *others = [c for c in machine.commands if c[0] != "/shims/uv"]
    assert made[1:] == ["-P", "-m", "venv", str(machine.venv)]
    assert all(c[:4] == [python, "-P", "-m", "pip"] for c in others)


@pytest.mark.parametrize(
    ("pip", "value", "uv", "handed_on"),
    [
        ("PIP_FIND_LINKS", "/wheels /more", "UV_FIND_LINKS", "/wheels,/more"),
        ("PIP_INDEX_URL", "http://mirror/", "UV_DEFAULT_INDEX", "http://mirror/"),
        ("PIP_EXTRA_INDEX_URL", "a: b:", "UV_INDEX", "a: b:"),
        ("PIP_EXTRA_INDEX_URL", "a:", "UV_INDEX_STRATEGY", "unsafe-best-match"),
        ("PIP_CERT", "/ca.crt", "SSL_CERT_FILE", "/ca.crt"),
    ],
)
def test_uv_gets_the_settings_of_pip(machine, monkeypatch, pip, value, uv, handed_on):
    monkeypatch.setenv(pip, value)
    environment.ensure({"book"})
    assert machine.environments[-1][uv] == handed_on
    monkeypatch.setenv(uv, "set by the user")
    environment.ensure({"test"})
    assert machine.environments[-1][uv] == "set by the user"


def test_mxnet_and_d2l_are_installed_without_dependencies(machine):
    environment.ensure(EVERYTHING)
    normal, alone, _ = machine.installs()
    assert not {"mxnet", "d2l"} & set(map(requirements.name_of, normal))
    assert alone == ["--no-deps", "d2l==1.0.3", "mxnet==1.9.1"]


@pytest.mark.parametrize("backend", IDS)
def test_d2l_comes_with_every_framework(machine, backend):
    environment.ensure({backend})
    assert "d2l==1.0.3" in machine.installs()[1]


def test_cpu_torch_through_uv(machine, monkeypatch):
    monkeypatch.setattr(installer, "_is_reachable", lambda address: True)
    environment.ensure({"torch"})
    assert machine.environments[-1]["UV_TORCH_BACKEND"] == "cpu"


def test_cpu_torch_through_pip(machine, monkeypatch):
    machine.programs.clear()
    monkeypatch.setattr(installer, "_is_reachable", lambda address: True)
    environment.ensure({"torch"})
    options = machine.installs()[0][:2]
    assert options == ["--extra-index-url", installer.TORCH_CPU_INDEX]


def test_cpu_torch_from_a_folder_of_wheels(machine, monkeypatch, tmp_path, capsys):
    pin = requirements.pin("torch")
    wheel = f"torch-{pin}+cpu-cp3{MINOR}-cp3{MINOR}-manylinux_2_28_x86_64.whl"
    (tmp_path / wheel).touch()
    monkeypatch.setenv("PIP_FIND_LINKS", f"/nowhere {tmp_path}")
    monkeypatch.setattr(installer, "_is_reachable", pytest.fail)
    environment.ensure({"torch"})
    assert "CUDA" not in capsys.readouterr().err


def test_a_wheel_for_another_python_does_not_count(
    machine, monkeypatch, tmp_path, capsys
):
    wheel = f"torch-{requirements.pin('torch')}+cpu-cp39-cp39-linux_x86_64.whl"
    (tmp_path / wheel).touch()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    environment.ensure({"torch"})
    assert "the one with CUDA takes several GB" in capsys.readouterr().err


def test_torch_is_left_alone_if_there_is_a_driver(machine, monkeypatch):
    monkeypatch.setattr(installer, "_has_nvidia_driver", lambda: True)
    monkeypatch.setattr(installer, "_is_reachable", pytest.fail)
    environment.ensure({"torch"})
    assert "UV_TORCH_BACKEND" not in machine.environments[-1]


def test_a_torch_backend_that_the_user_chose_stays(machine, monkeypatch):
    monkeypatch.setenv("UV_TORCH_BACKEND", "cu130")
    monkeypatch.setattr(installer, "_is_reachable", pytest.fail)
    environment.ensure({"torch"})
    assert machine.environments[-1]["UV_TORCH_BACKEND"] == "cu130"


def test_an_installed_torch_is_not_looked_for(machine, monkeypatch):
    environment.ensure({"torch"})
    environment._stamp("torch").unlink()
    monkeypatch.setattr(installer, "_is_reachable", pytest.fail)
    environment.ensure({"torch"})


@pytest.mark.parametrize(
    ("system", "processor"),
    [("darwin", "arm64"), ("linux", "aarch64"), ("win32", "x86_64")],
)
def test_mxnet_is_left_out_kindly(machine, monkeypatch, capsys, system, processor):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=processor))
    monkeypatch.setattr(installer, "_cpu_torch", lambda *_: [])
    environment.ensure(set(IDS))
    assert "The other three frameworks work here" in capsys.readouterr().err
    names = {requirements.name_of(r) for r in machine.installs()[0]}
    assert {"torch", "jax", "tensorflow"} < names
    assert machine.installs()[1] == ["--no-deps", "d2l==1.0.3"]


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
    assert "jax>=0.10,<0.11" in machine.installs()[0]
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
    environment._stamp("book").unlink()
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


@pytest.mark.parametrize("version", [None, "0.9.9", "0.11.0"])
def test_an_active_environment_that_lacks_something_stays_as_it_is(
    machine, active, capsys, version
):
    shutil.rmtree(next(active.glob("jax-*")))
    if version:
        distribution(active, "jax", version)
    assert environment.ensure({"torch"}) == sys.executable
    assert environment.ensure({"jax"}) == str(machine.venv / "bin/python")
    message = capsys.readouterr().err
    assert f"using .venv: the active {sys.prefix} lacks jax>=0.10,<0.11\n" in message
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
    assert environment.ensure({"jax"}, into_active=True) == sys.executable
    (command,) = (c for c in machine.commands if "install" in c)
    assert command[command.index("--python") + 1] == sys.executable
    assert machine.installs() == [["jax>=0.10,<0.11"]]


def test_the_base_environment_of_conda_is_left_alone(machine, active):
    Path(sys.prefix, "condabin").mkdir()
    shutil.rmtree(next(active.glob("jax-*")))
    python = environment.ensure({"jax"}, into_active=True)
    assert python == str(machine.venv / "bin/python")


def test_a_cpu_build_of_tensorflow_will_do(machine, active):
    (info,) = active.glob("tensorflow-*.dist-info")
    distribution(active, "tensorflow-cpu", requirements.pin("tensorflow-cpu"))
    shutil.rmtree(info)
    assert environment.ensure({"tensorflow"}) == sys.executable


@pytest.mark.parametrize(
    ("output", "remedy"),
    [
        ("cause: dns error\n", "the package index cannot be reached"),
        ("NewConnectionError: Failed to establish a new connection", "be reached"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("No solution found\nbecause a needs b", "fix what these lines report"),
    ],
)
def test_a_failed_step_quotes_the_tool_and_names_a_remedy(machine, output, remedy):
    machine.answers["install"] = (1, "chatter\n" * 50 + output)
    with pytest.raises(BookError, match=remedy) as raised:
        environment.ensure({"book"})
    message = str(raised.value)
    assert output.strip().splitlines()[-1] in message
    assert message.endswith("and run the same command again")
    assert message.count("chatter") < 12


def test_a_folder_that_cannot_be_written(machine, monkeypatch):
    def refuse(command, env=None):
        raise PermissionError(13, "Permission denied", str(machine.venv))

    monkeypatch.setattr(installer, "run", refuse)
    with pytest.raises(BookError, match="Permission denied.*Make the folder writable"):
        environment.ensure({"book"})


def test_the_summary_names_what_is_ready(machine):
    python = environment.ensure({"book", "jax"})
    line = f"ready in {machine.venv}: jax {requirements.pin('jax')}, book"
    assert environment.summary(python, {"book", "jax"}) == line


def test_every_requirement_has_a_pin_within_its_range():
    for some in requirements.asked_for(["base", *EVERYTHING]):
        for requirement in some:
            name = requirement.partition(">")[0].partition("=")[0]
            have = {requirements.name_of(name): requirements.pin(name)}
            assert requirements._is_met(requirement, have), requirement


def test_constraints_are_plain_versions():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) == len({line.partition("==")[0] for line in pins})
    for pin in pins:
        name, version = pin.split("==")
        assert name == name.lower()
        assert version.replace("b", "").replace(".", "").isdigit(), pin


def test_the_bootstrap_needs_nothing_installed():
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        "from builder.command import cli; from builder.setup import environment"
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
    monkeypatch.setattr(environment, "ensure", lambda needs, into_active: "/python")
    monkeypatch.setattr(os, "execv", lambda *call: handed_over.append(call))
    monkeypatch.setattr(subprocess, "call", lambda command: 0)
    with pytest.raises(SystemExit):  # execv does not return; this one does
        build.main(["test", "--backend", "jax"])
    program = str(ROOT / "builder" / "__main__.py")
    command = ["/python", "-P", program, "test", "--backend", "jax"]
    assert handed_over == [("/python", command)]


def test_a_failed_set_up_is_one_message(build, monkeypatch):
    def ensure(needs, into_active):
        raise BookError("no venv")

    monkeypatch.setattr(environment, "ensure", ensure)
    with pytest.raises(SystemExit, match="^error: no venv$"):
        build.main(["test"])


def test_an_interrupted_set_up_says_how_to_continue(build, monkeypatch, capsys):
    def ensure(needs, into_active):
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "ensure", ensure)
    with pytest.raises(SystemExit) as raised:
        build.main(["test"])
    assert raised.value.code == 130
    assert "the same command again" in capsys.readouterr().err
