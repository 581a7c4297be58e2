"""What is installed, with uv or pip, and what a failure says."""

import io
import os
import shutil
import urllib.request

import pytest
from shared.machine import EVERYTHING, MINOR

from builder.errors import BookError
from builder.setup import environment, installer, requirements
from d2lext.core.frameworks import IDS


@pytest.mark.parametrize("shim", [None, "/shims/uv"], ids=["none", "dead shim"])
def test_pip_if_no_uv_runs(machine, shim):
    machine.programs["uv"] = shim
    machine.answers["/shims/uv"] = (127, "uv: command not found")
    python = environment.ensure({"book"})
    made, *others = [c for c in machine.commands if c[0] != "/shims/uv"]
    assert made[1:] == ["-P", "-m", "venv", str(machine.venv)]
    assert all(c[:4] == [python, "-I", "-m", "pip"] for c in others)


@pytest.mark.parametrize("is_writable", [True, False])
def test_uv_goes_without_a_cache_that_cannot_be_written(
    machine, monkeypatch, tmp_path, is_writable
):
    machine.answers["cache"] = (0, f"{tmp_path}/home/.cache/uv\n")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or is_writable)
    assert installer.find_uv() == "/usr/bin/uv"
    assert ("UV_NO_CACHE" in os.environ) != is_writable


def test_the_uv_for_tests_installs_nothing(machine, monkeypatch):
    """It goes where `.venv`, perhaps activated, is made anew."""
    asked = []
    monkeypatch.setattr(shutil, "which", lambda name, path: asked.append(path))
    monkeypatch.setenv("PATH", os.pathsep.join([str(machine.venv / "bin"), "/usr/bin"]))
    assert installer.find_uv() is None
    assert asked == ["/usr/bin"]


@pytest.mark.parametrize(
    ("pip", "value", "uv", "handed_on"),
    [
        ("PIP_FIND_LINKS", "/wheels /more", "UV_FIND_LINKS", "/wheels,/more"),
        ("PIP_INDEX_URL", "http://mirror/", "UV_DEFAULT_INDEX", "http://mirror/"),
        ("PIP_EXTRA_INDEX_URL", "a: b:", "UV_INDEX", "a: b:"),
        ("PIP_EXTRA_INDEX_URL", "a:", "UV_INDEX_STRATEGY", "unsafe-best-match"),
        ("PIP_CERT", "/ca.crt", "SSL_CERT_FILE", "/ca.crt"),
        ("PIP_PROXY", "http://proxy:3128", "ALL_PROXY", "http://proxy:3128"),
        ("PIP_TRUSTED_HOST", "mirror", "UV_INSECURE_HOST", "mirror"),
    ],
)
def test_uv_gets_the_settings_of_pip(machine, monkeypatch, pip, value, uv, handed_on):
    monkeypatch.setenv(pip, value)
    environment.ensure({"book"})
    assert machine.environments[-1][uv] == handed_on
    monkeypatch.setenv(uv, "set by the user")
    environment.ensure({"test"})
    assert machine.environments[-1][uv] == "set by the user"


@pytest.mark.parametrize(("value", "is_set"), [("1", True), ("no", False)])
def test_a_folder_of_wheels_without_an_index(machine, monkeypatch, value, is_set):
    monkeypatch.setenv("PIP_NO_INDEX", value)
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    asked = []
    monkeypatch.setattr(installer, "offers", lambda *index: asked.append(index))
    environment.ensure({"torch"})
    for command in machine.commands:
        assert "install" not in command or ("--no-index" in command) == is_set
    assert bool(asked) != is_set


def test_a_proxy_that_does_not_answer_is_named(machine, monkeypatch):
    machine.answers["install"] = (1, "error sending request: tunnel")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy:3128")
    with pytest.raises(BookError, match="cannot be reached, through HTTPS_PROXY") as it:
        environment.ensure({"book"})
    assert "secret" not in str(it.value)


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
    monkeypatch.setattr(installer, "offers", lambda index: index == "cpu")
    environment.ensure({"torch"})
    assert machine.environments[-1]["UV_TORCH_BACKEND"] == "cpu"


def test_cpu_torch_through_pip(machine, monkeypatch):
    machine.programs.clear()
    monkeypatch.setattr(installer, "offers", lambda index: index == "cpu")
    environment.ensure({"torch"})
    options = machine.installs()[0][:2]
    assert options == ["--extra-index-url", installer.TORCH_INDEX.format("cpu")]


def test_cpu_torch_from_a_folder_of_wheels(machine, monkeypatch, tmp_path, capsys):
    pin = requirements.pin("torch")
    wheel = f"torch-{pin}+cpu-cp3{MINOR}-cp3{MINOR}-manylinux_2_28_x86_64.whl"
    (tmp_path / wheel).touch()
    monkeypatch.setenv("PIP_FIND_LINKS", f"/nowhere {tmp_path}")
    monkeypatch.setattr(installer, "offers", pytest.fail)
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


@pytest.mark.parametrize(
    ("wheel", "is_there"),
    [
        (f"torch-{requirements.pin('torch')}%2Bcu126-cp311-cp311-linux.whl", True),
        (f"torch-{requirements.pin('torch')}+cu126-cp311-cp311-linux.whl", True),
        ("torch-2.0.0%2Bcu126-cp311-cp311-linux.whl", False),
        (None, False),
    ],
)
def test_pytorchs_own_index_is_asked_for_the_pinned_version(
    monkeypatch, wheel, is_there
):
    def urlopen(address, timeout):
        assert address == "https://download.pytorch.org/whl/cu126/torch/"
        if wheel is None:
            raise OSError("no network")
        return io.BytesIO(f'<a href="/whl/{wheel}#sha256=0">'.encode())

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    assert installer.offers("cu126") == is_there


def test_a_torch_backend_that_the_user_chose_stays(machine, monkeypatch):
    monkeypatch.setenv("UV_TORCH_BACKEND", "cu130")
    monkeypatch.setattr(installer, "offers", pytest.fail)
    environment.ensure({"torch"})
    assert machine.environments[-1]["UV_TORCH_BACKEND"] == "cu130"


def test_an_installed_torch_is_not_looked_for(machine, monkeypatch):
    environment.ensure({"torch"})
    (machine.venv / "set-up" / "torch").unlink()
    monkeypatch.setattr(installer, "offers", pytest.fail)
    environment.ensure({"torch"})


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
