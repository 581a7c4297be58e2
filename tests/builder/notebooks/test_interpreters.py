"""In which environment, and on which device, a notebook's kernel runs."""

import os
import sys

import pytest

from builder.command import arguments
from builder.command.verbs import authoring, formats, project
from builder.notebooks import kernel, lab, outputs, run
from builder.setup import environment
from d2lext.core.frameworks import IDS

ON_GPU = "/there/bin/python"


@pytest.fixture
def trains_elsewhere(monkeypatch):
    """TensorFlow trains on the GPU in an environment of its own."""

    def interpreter(backends):
        return ON_GPU if list(backends) == ["tensorflow"] else sys.executable

    for module in (environment, lab, run):
        monkeypatch.setattr(module, "interpreter", interpreter)


def python_of(path):
    manager = lab.Manager()
    manager._launch_args = {"env": {"JPY_SESSION_NAME": str(path)}}
    return manager.format_kernel_cmd()[0], manager._launch_args["env"]


def test_a_kernel_is_of_the_python_that_it_is_given():
    manager = kernel.manager(ON_GPU)(connection_file="/file")
    command = manager.format_kernel_cmd()
    assert command[:3] == [ON_GPU, "-m", "ipykernel_launcher"]
    assert command.count("/file") == 1


def test_jupyterlab_starts_each_notebook_where_its_framework_trains(
    trains_elsewhere, monkeypatch, tiny, tmp_path
):
    kernel.frameworks.cache_clear()
    monkeypatch.setattr(kernel, "ROOT", tiny.root)
    tiny.edit("x = 1", "import d2lext")
    tiny.edit("x = 2", "import d2lext")
    stem = tiny.edition("torch").chapter.stem
    for folder in (tiny.root / "notebooks", tmp_path / "_build" / "student"):
        own = {name: python_of(folder / name / f"{stem}.ipynb")[0] for name in IDS}
        assert own.pop("tensorflow") == ON_GPU
        assert {*own.values()} == {sys.executable}
    assert python_of(tmp_path / "mine.ipynb")[0] == sys.executable
    assert python_of(tmp_path / "tensorflow" / "mine.ipynb")[0] == ON_GPU


def test_several_frameworks_run_on_the_cpu(trains_elsewhere, monkeypatch, shared):
    kernel.frameworks.cache_clear()
    monkeypatch.setattr(kernel, "ROOT", shared.root)
    python, variables = python_of(shared.edition("tensorflow").path)
    assert python == sys.executable
    assert variables["CUDA_VISIBLE_DEVICES"] == ""
    assert variables["JAX_PLATFORMS"] == "cpu"


@pytest.mark.parametrize("is_shared", [True, False])
def test_recording_hides_the_gpu_from_several_frameworks(
    shared, monkeypatch, is_shared
):
    seen = []
    monkeypatch.setattr(
        run, "execute", lambda edition, variables, progress: seen.append(variables)
    )
    if not is_shared:
        text = "# One\n\n```{code-cell}\n---\ntags: [torch]\n---\n1\n```\n"
        (shared.root / "chapters" / "01-tiny.md").write_text(text)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    run.record(shared.edition("torch"), progress=lambda line: None)
    [variables] = seen
    hidden = ("", "cpu") if is_shared else ("1", None)
    names = ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS")
    assert tuple(map(variables.get, names)) == hidden


WHERE = """\
# Where

```{code-cell}
---
tags: [torch, tensorflow]
---
import os

import d2lext

print(os.environ.get("STARTED"))
```
"""


@pytest.mark.slow
def test_a_notebook_is_recorded_where_its_framework_trains(tiny, monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nSTARTED=there exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    places = {("tensorflow",): str(python), ("torch",): sys.executable}
    monkeypatch.setattr(run, "interpreter", places.__getitem__)
    monkeypatch.delenv("STARTED", raising=False)
    (tiny.root / "chapters" / "01-tiny.md").write_text(WHERE)
    tiny.record("torch", "tensorflow")
    for backend, place in (("torch", "None"), ("tensorflow", "there")):
        [_, cell] = tiny.notebook(backend).cells
        assert outputs.shown_text(cell.outputs) == place


def test_a_shared_chapter_gets_all_that_it_imports(shared, monkeypatch):
    installed, recorded = [], []
    monkeypatch.setattr(environment, "ensure", lambda needs: installed.append(needs))
    monkeypatch.setattr(environment, "hand_over", lambda *_: None)
    monkeypatch.setattr(run, "record", lambda edition, **_: recorded.append(edition))
    args = arguments.parse(["run", "--backend", "torch"])
    authoring.run(args, shared.root)
    assert installed == [{"book", *IDS}]
    text = "# Sums\n\n```{code-cell}\nprint(1 + 1)\n```\n"
    (shared.root / "chapters" / "01-tiny.md").write_text(text)
    authoring.run(args, shared.root)
    assert len(installed) == 1, "nothing more is needed"
    assert len(recorded) == 2


@pytest.fixture
def called(monkeypatch, tmp_path):
    """The commands that verbs run, with their variables."""
    calls = []
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))  # for signatures

    def call(command, cwd=None, env=None):
        calls.append((command, env or {}))
        return 0

    for module in (formats, project):
        monkeypatch.setattr(module.subprocess, "call", call)
    return calls


@pytest.mark.parametrize("verb", ["test --quick", "lab", "bench step"])
@pytest.mark.parametrize(
    ("options", "python"),
    [("--backend tensorflow", ON_GPU), ("--backend jax", sys.executable)],
)
def test_verbs_start_where_a_framework_trains(
    trains_elsewhere, called, root, verb, options, python
):
    args = arguments.parse([*verb.split(), *options.split()])
    name = verb.split()[0]
    {"lab": formats.lab}.get(name, getattr(project, name, None))(args, root)
    [(command, _)] = called
    assert command[0] == python


def test_jupyterlab_finds_our_kernels_only_where_it_must(
    trains_elsewhere, called, root, monkeypatch
):
    args = arguments.parse(["lab"])
    formats.lab(args, root)
    monkeypatch.setattr(environment, "interpreter", lambda backends: sys.executable)
    formats.lab(args, root)
    (ours, variables), (plain, _) = called
    assert [word for word in ours if "kernel_manager_class" in word]
    assert variables["PYTHONPATH"].split(os.pathsep)[0] == str(root)
    assert not [word for word in plain if "kernel_manager_class" in word]
