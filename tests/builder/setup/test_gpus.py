"""Environments for a GPU: two of them, made, kept and changed on feigned machines."""

import json
import os
import sys
from pathlib import Path

import pytest
from shared.machine import EVERYTHING

from builder.setup import environment, installer, requirements

H200 = "580.65.06, 9.0"


@pytest.fixture
def gpu(machine):
    machine.nvidia = H200
    return machine


def names(requirements_):
    return [each.partition(">")[0].partition(";")[0] for each in requirements_]


def have(machine, venv):
    return requirements.installed([machine.site_of(machine.root / venv)])


def test_a_card_gets_two_environments(gpu, capsys):
    python = environment.ensure(EVERYTHING)
    assert python == str(gpu.venv / "bin/python")
    first, _, _, second, _, _ = gpu.installs()
    assert {"jax[cuda13]", "nvidia-cuda-nvcc", "nvidia-nvvm"} < set(names(first))
    assert f"torch!={requirements.pin('torch')}+cpu" in first
    assert "tensorflow-cpu" in names(first)
    assert "tensorflow[and-cuda]>=2.17" in second
    assert not {"tensorflow-cpu", "torch", "jax", "jax[cuda13]"} & set(names(second))
    assert {"ipykernel", "pytest", "keras"} < set(names(second))
    assert not any("UV_TORCH_BACKEND" in (env or {}) for env in gpu.environments)
    told = capsys.readouterr().err
    assert "for the GPU in .venv: JAX and PyTorch, 2 to 4 GB" in told
    assert "for the GPU in .venv-cuda12: TensorFlow, 2 to 4 GB" in told


def test_each_framework_runs_where_it_trains(gpu):
    environment.ensure(EVERYTHING)
    second = str(gpu.root / ".venv-cuda12/bin/python")
    assert environment.interpreter(["tensorflow"]) == second
    for several in (["torch"], ["mxnet"], ["jax", "tensorflow"], []):
        assert environment.interpreter(several) == sys.executable


def test_mxnet_gets_an_environment_by_request(gpu, capsys):
    gpu.nvidia = "580.65.06, 8.6"
    environment.ensure(EVERYTHING, is_setup=True)
    assert not (gpu.root / ".venv-cuda11").exists()
    gpu.commands.clear()
    environment.ensure(EVERYTHING, is_setup=True, gpu="cuda11")
    normal, alone, _ = gpu.installs()
    assert {"nvidia-cudnn-cu11", "graphviz", "ipykernel"} < set(names(normal))
    assert not {"torch", "jax", "keras"} & set(names(normal))
    assert alone == ["--no-deps", "d2l==1.0.3", "mxnet-cu117==1.9.1"]
    third = str(gpu.root / ".venv-cuda11/bin/python")
    assert environment.interpreter(["mxnet"]) == third
    assert environment.interpreter(["mxnet", "tensorflow"]) == sys.executable
    gpu.commands.clear()
    environment.ensure(EVERYTHING)
    assert not gpu.commands


def test_later_commands_ask_nothing(gpu, monkeypatch):
    environment.ensure({"book", "torch"})
    monkeypatch.setattr(environment.machine, "ask_nvidia", pytest.fail)
    gpu.commands.clear()
    environment.ensure({"book", "torch"})
    assert not gpu.commands
    environment.ensure({"book", "jax"})
    assert "jax[cuda13]" in names(gpu.installs()[0])


def test_the_second_environment_is_made_when_it_is_needed(gpu):
    environment.ensure({"book", "torch"})
    assert not (gpu.root / ".venv-cuda12").exists()
    assert environment.interpreter(["tensorflow"]) == sys.executable
    environment.ensure({"book", "tensorflow"})
    assert (gpu.root / ".venv-cuda12").exists()


def test_a_card_that_appears_is_told_of_once_it_is_there(machine, capsys, monkeypatch):
    monkeypatch.setattr(installer, "offers", lambda index, *_: index == "cpu")
    environment.ensure({"book", "torch", "jax"}, is_setup=True)
    assert have(machine, ".venv")["torch"].endswith("+cpu")
    machine.nvidia = H200
    capsys.readouterr()
    machine.commands.clear()
    environment.ensure({"book", "torch", "jax"})
    assert "python build.py setup makes it one for the GPU" in capsys.readouterr().err
    assert not machine.commands
    environment.ensure({"book", "torch", "jax"}, is_setup=True)
    assert not any("venv" in command for command in machine.commands), "in place"
    assert have(machine, ".venv")["torch"] == requirements.pin("torch")
    capsys.readouterr()
    environment.ensure({"book", "torch", "jax"})
    assert capsys.readouterr().err == ""


def test_who_wants_no_gpu_is_left_in_peace(gpu, capsys):
    environment.ensure({"book", "torch"}, is_setup=True, gpu="none")
    assert f"torch!={requirements.pin('torch')}+cpu" not in gpu.installs()[0]
    for is_setup in (False, True, False):
        capsys.readouterr()
        environment.ensure({"book", "torch", "jax"}, is_setup=is_setup)
        assert "for the GPU" not in capsys.readouterr().err
    assert not any("cuda" in r for some in gpu.installs() for r in some)
    environment.ensure({"book", "torch", "jax"}, is_setup=True, gpu="auto")
    assert any("jax[cuda13]" in r for some in gpu.installs() for r in some)


@pytest.mark.parametrize("other", ["none", "cuda12"])
def test_one_cuda_is_not_mixed_with_another(gpu, capsys, other):
    environment.ensure({"book", "torch", "jax"}, is_setup=True)
    (gpu.venv / "mark").touch()
    environment.ensure({"book", "torch", "jax"}, is_setup=True, gpu=other)
    to = "and is to be for " + ("the CPU" if other == "none" else other)
    assert f".venv: it was set up for cuda13, {to}" in capsys.readouterr().err
    assert not (gpu.venv / "mark").exists()


def test_an_environment_without_use_is_named(gpu):
    python = environment.ensure(EVERYTHING, is_setup=True)
    assert "no longer used" not in environment.summary(python, EVERYTHING)
    environment.ensure(EVERYTHING, is_setup=True, gpu="none")
    last = environment.summary(python, EVERYTHING).splitlines()[-1]
    assert last == "no longer used, free to be deleted: .venv-cuda12"


def test_an_older_driver_gets_cuda_12_from_pytorchs_own_index(machine, monkeypatch):
    machine.nvidia = "550.144.03, 8.6"
    monkeypatch.setattr(installer, "offers", lambda index, *_: index == "cu126")
    environment.ensure({"book", "torch", "jax", "tensorflow"})
    first = machine.installs()[0]
    assert f"torch=={requirements.pin('torch')}+cu126" in first
    assert "jax" in names(first)
    assert "cu126" in {
        (env or {}).get("UV_TORCH_BACKEND") for env in machine.environments
    }
    second = next(some for some in machine.installs() if "jax[cuda12]" in names(some))
    assert "tensorflow[and-cuda]" in names(second)
    python = str(machine.root / ".venv-cuda12/bin/python")
    assert environment.interpreter(["jax", "tensorflow"]) == python


def test_pip_takes_that_index_too(machine, monkeypatch):
    machine.programs.clear()
    machine.nvidia = "550.144.03, 8.6"
    monkeypatch.setattr(installer, "offers", lambda index, *_: index == "cu126")
    environment.ensure({"torch"})
    options = machine.installs()[0][:2]
    assert options == ["--extra-index-url", installer.TORCH_INDEX.format("cu126")]


def test_an_active_environment_is_set_up_for_the_card(gpu, active):
    environment.ensure({"jax", "tensorflow"}, is_setup=True)
    [command, *_] = [c for c in gpu.commands if "install" in c]
    assert command[command.index("--python") + 1] == sys.executable
    assert not gpu.venv.exists()
    second = str(gpu.root / ".venv-cuda12/bin/python")
    assert environment.interpreter(["tensorflow"]) == second
    gpu.commands.clear()
    assert environment.ensure({"jax", "tensorflow"}) == sys.executable
    assert not gpu.commands


def test_an_active_environment_for_the_cpu_is_used_as_it_is(gpu, active):
    assert environment.ensure(EVERYTHING) == sys.executable
    assert not gpu.commands


def test_a_damaged_memory_is_no_error(gpu):
    environment.ensure({"book", "torch"})
    note = gpu.venv / "set-up" / "gpu"
    assert json.loads(note.read_text())["cuda"] == "cuda13"
    for text in ("", "{", "[]", '{"colour": 1}', "null"):
        note.write_text(text)
        environment.ensure({"book", "torch"})
        assert json.loads(note.read_text())["cuda"] == "cuda13"


def test_the_summary_says_what_trains_where(gpu):
    python = environment.ensure(EVERYTHING, is_setup=True)
    lines = environment.summary(python, EVERYTHING).splitlines()
    assert lines[0].startswith(f"ready in {gpu.venv}: torch ")
    assert "TensorFlow: on the GPU, from .venv-cuda12" in lines


def test_a_program_goes_on_in_another_interpreter(monkeypatch):
    calls = []
    monkeypatch.setattr(os, "execv", lambda *call: calls.append(call))
    monkeypatch.setattr(environment.subprocess, "call", lambda command: 3)
    with pytest.raises(SystemExit) as status:  # execv does not return; this one does
        environment.hand_over("/python", ["a program.py", "run"])
    assert calls == [("/python", ["/python", "-P", "a program.py", "run"])]
    assert status.value.code == 3
    assert Path(calls[0][0]).name == "python"
