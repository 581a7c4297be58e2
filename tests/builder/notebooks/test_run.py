"""Notebooks executed and recorded: what is written, what is refused, what is kept."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest

from builder.command import check
from builder.errors import BookError
from builder.notebooks import outputs, run
from d2lext.core.frameworks import IDS


def test_recorded_notebooks_hold_outputs(recorded):
    for backend, shown in zip(IDS, "1222", strict=True):
        notebook = nbformat.read(recorded.path(backend), as_version=4)
        nbformat.validate(notebook)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert outputs.shown_text(code[1].outputs) == shown
        assert outputs.shown_text(code[2].outputs) == "42"
        assert "nbval-ignore-output" in code[2].metadata.tags
        assert not recorded.edition(backend).is_stale


def test_an_output_that_differs_is_refused(copy):
    before = copy.path("torch").read_bytes()
    copy.edit("x = 1", "x = 5")
    with pytest.raises(BookError, match=r"01-tiny.md:30: .*output differs") as error:
        copy.record("torch")
    assert "expected: 1\n" in str(error.value)
    assert "shown:    5\n" in str(error.value)
    assert copy.path("torch").read_bytes() == before


def test_a_cell_that_raises(copy):
    before = copy.path("jax").read_bytes()
    copy.edit("6 * 7", "y = 6\ny / 0")
    with pytest.raises(
        BookError, match=r"01-tiny.md:38: the jax cell raised ZeroDivis"
    ):
        copy.record("jax")
    assert copy.path("jax").read_bytes() == before


def test_a_missing_framework(copy):
    copy.edit("x = 1", "import d2lext.not_here")
    with pytest.raises(
        BookError, match=r"(?s)ModuleNotFoundError.*setup --backend torch"
    ):
        copy.record("torch")


SLEEP = """
import os, pathlib, time
pathlib.Path("starting").write_text(str(os.getpid()))
os.rename("starting", "started")
time.sleep(60)
"""


@pytest.mark.slow
def test_interrupting_a_run_loses_nothing(copy):
    before = copy.path("torch").read_bytes()
    copy.edit("6 * 7", SLEEP.strip())
    code = (
        "import sys; from pathlib import Path; from builder.command import main as cli; "
        "cli.ROOT = Path(sys.argv[1]); "
        "sys.exit(cli.main(['run', '--backend', 'torch']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(copy.root)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    started = copy.root / "notebooks" / "torch" / "started"
    for _ in range(1200):  # two minutes: other work may fill the machine
        if started.exists():
            break
        time.sleep(0.1)
    assert started.exists()
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does, the kernel included
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "earlier recordings are unchanged" in errors
    assert "Traceback" not in errors
    assert copy.path("torch").read_bytes() == before
    with pytest.raises(ProcessLookupError):  # the kernel has gone, too
        os.kill(int(started.read_text()), 0)
    left = {path.name for path in copy.path("torch").parent.iterdir()}
    assert left == {"01-tiny.ipynb", "started"}


@pytest.mark.parametrize("fast", [False, True])
def test_runs_of_one_notebook_take_turns(tiny, monkeypatch, fast):
    entered, told, finish = (threading.Event() for _ in range(3))
    ran, lines = [], []

    def execute(edition, environment, progress):
        ran.append(edition.backend + environment["D2LEXT_FAST"])
        if ran == ["torch"]:
            entered.set()
            assert finish.wait(20)

    def say(line):
        lines.append(line)
        told.set()

    monkeypatch.setattr(run, "execute", execute)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(run.record, tiny.edition("torch"))
        assert entered.wait(60)
        second = pool.submit(run.record, tiny.edition("torch"), fast, progress=say)
        run.record(tiny.edition("jax"))  # another notebook: at once
        assert told.wait(60)
        assert ran == ["torch", "jax"]
        finish.set()
        first.result()
        second.result()
    assert lines[0] == "waiting for another run of 01-tiny (torch) to finish"
    # Not again what is as it should be by then.
    assert ran[2:] == (["torch1"] if fast else [])
    assert lines[1] == (
        "running 01-tiny (torch)" if fast else "01-tiny (torch) was recorded meanwhile"
    )


@pytest.mark.slow
def test_what_is_damaged_while_a_notebook_runs_is_kept(copy):
    broken = "import pathlib\npathlib.Path('01-tiny.ipynb').write_text('<<<<<<<')\n42"
    copy.edit("6 * 7", broken)
    copy.record("torch")
    assert copy.path("torch").with_suffix(".edited.ipynb").read_text() == "<<<<<<<"
    assert not copy.edition("torch").is_stale


@pytest.mark.slow
def test_a_shared_chapter_is_recorded_once_for_all(shared):
    lines = []
    run.record(shared.edition("torch"), progress=lines.append)
    assert lines[0] == "running 01-tiny (all)"
    assert lines[1].startswith("recorded 01-tiny (all) in ")
    assert len(lines) == 2
    assert shared.stale() == set()
    for backend in IDS:
        notebook = nbformat.read(shared.path(backend), as_version=4)
        assert outputs.shown_text(notebook.cells[1].outputs) == "gradients"
    # It depends on what it imports of any framework, and on nothing else.
    shared.edit("def predict", "def predicted", "d2lext/mxnet/models.py")
    assert shared.stale() == set()
    shared.edit("5e-4", "5e-3", "d2lext/core/densenet/parity.py")
    assert shared.stale() == set(IDS)
    shared.edit("5e-3", "5e-4", "d2lext/core/densenet/parity.py")
    shared.edit("def predict", "def predicted", "d2lext/jax/models.py")
    assert shared.stale() == set(IDS)


@pytest.mark.parametrize(
    "text", ["Just words.", '+++ {"tags": ["torch"]}\n\nFor some.\n\n+++\n\nFor all.']
)
def test_a_chapter_of_words_needs_no_recording(tiny, monkeypatch, text):
    (tiny.root / "chapters" / "01-tiny.md").write_text(f"# Preface\n\n{text}\n")
    monkeypatch.setattr(run, "execute", None)  # no kernel
    assert tiny.stale() == set()
    lines = []
    run.record(tiny.edition("torch"), progress=lines.append)
    assert lines == ["01-tiny (all) has no code to run"]
    monkeypatch.setattr(check, "_findings", lambda root: [])
    assert check.problems(tiny.root) == []
    assert tiny.edition("jax").backends == ()  # nothing to install


def test_code_for_no_framework_is_recorded_once(tiny, monkeypatch):
    text = "# Sums\n\n```{code-cell}\nimport math\nprint(math.comb(4, 2))\n```\n"
    (tiny.root / "chapters" / "01-tiny.md").write_text(text)
    tiny.record("jax")
    assert tiny.stale() == set()
    monkeypatch.setattr(check, "_findings", lambda root: [])
    assert check.problems(tiny.root) == []
    tiny.edit("def loss", "def lost", "d2lext/jax/module.py")
    tiny.edit("os.environ", "_ = 1\nos.environ", "d2lext/tensorflow/loading.py")
    assert tiny.stale() == set()
    assert tiny.edition("jax").backends == ()


def test_a_short_training_is_told(copy, monkeypatch):
    monkeypatch.setattr(check, "_findings", lambda root: [])
    run.record(copy.edition("jax"), epochs=1, progress=lambda line: None)
    assert check.problems(copy.root, ["jax"]) == [
        "notebooks/jax/01-tiny.ipynb was recorded with --epochs 1: "
        "python build.py run tiny --backend jax"
    ]
