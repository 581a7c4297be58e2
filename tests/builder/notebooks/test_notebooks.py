"""From a chapter to recorded notebooks: split, run, keep, merge, export, staleness."""

from builder.notebooks import store
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from nbformat.v4 import new_output

from shared.tiny_book import Tiny

from builder import files
from d2lext.core import frameworks
from d2lext.core.frameworks import IDS
from builder.command import check, cli, commands
from builder.publishing import tabs
from builder.errors import BookError
from builder.notebooks import run, split, stale
from builder.source import export, python
from builder.source.book import Book

@pytest.fixture
def tiny(tmp_path, root):
    return Tiny(tmp_path, root)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, root):
    """A tiny book with all its notebooks recorded; copy it before you change it."""
    tiny = Tiny(tmp_path_factory.mktemp("recorded"), root)
    tiny.record(*IDS)
    return tiny


@pytest.fixture
def copy(recorded, tmp_path):
    """A copy of the recorded book, to be changed."""
    result = object.__new__(Tiny)
    result.root = tmp_path / "copy"
    shutil.copytree(recorded.root, result.root)
    return result


def test_prose_is_plain_markdown(tiny):
    prose = tiny.notebook("torch").cells[0].source
    assert "# Tiny (Lin *et al.*, 2014)" in prose
    assert "![A box.](../../chapters/img/box.svg)" in prose
    assert "*Figure 1.1.* See (1.1)." in prose
    assert "$$a + b \\qquad (1.1)\n$$" in prose
    assert not re.search(r":::|\{(eq|ref|numref|cite:.)\}|\)=", prose)


def test_each_framework_has_its_own_cells(tiny):
    sources = {
        b: [c.source for c in tiny.notebook(b).cells if c.cell_type == "code"]
        for b in IDS
    }
    assert sources["torch"][0] == "x = 1"
    assert sources["jax"][0] == "x = 2"
    assert len(sources["torch"]) == 4
    assert sources["mxnet"] == sources["jax"] == sources["tensorflow"]


def test_recorded_notebooks_hold_outputs(recorded):
    for backend, shown in zip(IDS, "1222", strict=True):
        notebook = nbformat.read(recorded.path(backend), as_version=4)
        nbformat.validate(notebook)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert run.shown_text(code[1].outputs) == shown
        assert run.shown_text(code[2].outputs) == "42"
        assert "nbval-ignore-output" in code[2].metadata.tags
        assert not recorded.edition(backend).is_stale


@pytest.mark.parametrize(
    ("file", "old", "new", "stale_then"),
    [
        ("chapters/01-tiny.md", "See ", "Look at ", set()),
        ("chapters/01-tiny.md", "x = 1", "x = 1  # one", set()),
        ("chapters/01-tiny.md", "x = 1", "x = 3", {"torch"}),
        ("chapters/01-tiny.md", "6 * 7", "7 * 6", set(IDS)),
        ("chapters/01-tiny.md", "x = 1", "x = d2l.cpu()", {"torch"}),
        ("d2lext/jax/module.py", "def loss", "def lost", set()),
    ],
)
def test_only_changed_code_is_stale(copy, file, old, new, stale_then):
    copy.edit(old, new, file)
    assert copy.stale() == stale_then


def test_what_counts_is_the_same_in_every_python():
    code = 'def f(x, y=None):\n    """Doc."""\n    return f"{x:.0%}"  # why'
    assert python.dump_source(code) == (
        "Module(body=[FunctionDef(name='f', args=arguments(args=[arg(arg='x'), "
        "arg(arg='y')], defaults=[Constant()]), body=[Return(value=JoinedStr(values="
        "[FormattedValue(value=Name(id='x', ctx=Load()), conversion=-1, format_spec="
        "JoinedStr(values=[Constant(value='.0%')]))]))])])"
    )


def test_a_change_in_the_library_makes_its_users_stale(root, tmp_path):
    shutil.copytree(root / "d2lext", tmp_path / "d2lext")
    cells = ["from d2lext import jax as d2l", "d2l.Trainer(1)"]

    def hashes():
        return [stale.code_hash(tmp_path, backend, cells) for backend in IDS]

    def edit(file, old, new):
        path = tmp_path / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    before = hashes()
    edit("d2lext/jax/trainer.py", '"""The training loop', '"""A training loop')
    assert hashes() == before
    edit("d2lext/jax/device.py", "i < num_gpus()", "i + 1 <= num_gpus()")
    changed = [a != b for a, b in zip(before, hashes(), strict=True)]
    assert changed == [False, False, True, False]
    edit(
        "d2lext/core/training/trainer.py",
        "FAST_VAL_BATCHES = 3, 2",
        "FAST_VAL_BATCHES = 4, 2",
    )
    assert all(a != b for a, b in zip(before, hashes(), strict=True))


def test_prose_alone_runs_nothing_and_keeps_outputs(copy):
    before = nbformat.read(copy.path("torch"), as_version=4)
    copy.edit("See ", "Look at ")
    notebook = copy.notebook("torch")
    assert "Look at" in notebook.cells[0].source
    for old, new in zip(before.cells[1:], notebook.cells[1:], strict=True):
        assert old.get("outputs") == new.get("outputs")


def test_an_output_that_differs_is_refused(copy):
    before = copy.path("torch").read_bytes()
    copy.edit("x = 1", "x = 5")
    with pytest.raises(BookError, match=r"01-tiny.md:30: .*another output") as error:
        copy.record("torch")
    assert "stated: 1\n" in str(error.value)
    assert "shown:  5\n" in str(error.value)
    assert copy.path("torch").read_bytes() == before


def test_a_cell_that_raises(copy):
    before = copy.path("jax").read_bytes()
    copy.edit("6 * 7", "y = 6\ny / 0")
    with pytest.raises(
        BookError, match=r"01-tiny.md:38: the jax cell raised ZeroDivis"
    ):
        copy.record("jax")
    assert copy.path("jax").read_bytes() == before


def test_a_line_may_arrive_in_pieces():
    streams = [new_output("stream", text=text) for text in ("201", " 20013928\n264\n")]
    result = new_output("execute_result", data={"text/plain": "7"})
    assert run.shown_text([*streams, result]) == "201 20013928\n264\n7"
    assert run.shown_text([result]) == "7"


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


def test_interrupting_a_run_loses_nothing(copy):
    before = copy.path("torch").read_bytes()
    copy.edit("6 * 7", SLEEP.strip())
    code = (
        "import sys; from pathlib import Path; from builder.command import cli; "
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
    assert "as it was" in errors
    assert "Traceback" not in errors
    assert copy.path("torch").read_bytes() == before
    with pytest.raises(ProcessLookupError):  # the kernel has gone, too
        os.kill(int(started.read_text()), 0)
    left = {path.name for path in copy.path("torch").parent.iterdir()}
    assert left == {"01-tiny.ipynb", "started"}


@pytest.mark.parametrize(
    "damaged",
    ['{"cells": [', "", "[]", "\xff{", '{"cells": 3, "nbformat": 4, "metadata": {}}'],
)
def test_a_damaged_notebook_is_left_to_its_owner(copy, damaged, monkeypatch, capsys):
    copy.edit("See ", "Look at ")
    path = copy.path("torch")
    path.write_text(damaged, encoding="latin-1")
    monkeypatch.setattr(cli, "ROOT", copy.root)
    for verb in ["notebooks"], ["run", "--backend", "torch"], ["html"], []:
        assert cli.main(verb) == 1
        message = capsys.readouterr().err
        assert "error: notebooks/torch/01-tiny.ipynb is damaged" in message
        assert "restore it" in message
        assert "or move it away" in message
        assert path.read_text(encoding="latin-1") == damaged
    path.unlink()
    assert cli.main(["notebooks"]) == 0
    assert "Look at" in nbformat.read(path, as_version=4).cells[0].source


def test_what_is_damaged_while_a_notebook_runs_is_kept(copy):
    broken = "import pathlib\npathlib.Path('01-tiny.ipynb').write_text('<<<<<<<')\n42"
    copy.edit("6 * 7", broken)
    copy.record("torch")
    assert copy.path("torch").with_suffix(".edited.ipynb").read_text() == "<<<<<<<"
    assert not copy.edition("torch").is_stale


def fifth(monkeypatch):
    """Name a framework that the library lacks, as whoever adds one does."""
    monkeypatch.setitem(frameworks.TITLES, "paddle", "Paddle")
    for module in frameworks, split:
        monkeypatch.setattr(module, "IDS", (*IDS, "paddle"))


def test_a_framework_without_its_folder(copy, monkeypatch):
    copy.edit("tags: [torch]", "tags: [paddle]")
    with pytest.raises(BookError, match="01-tiny.md:12: unknown tag 'paddle'"):
        assert copy.book
    fifth(monkeypatch)
    with pytest.raises(BookError) as error:
        copy.notebook("paddle")
    assert str(error.value).startswith(
        "chapters/01-tiny.md:16: code for 'paddle' needs"
    )
    assert "the folder d2lext/paddle and its __init__.py" in str(error.value)
    assert "Another Framework" in str(error.value)
    (copy.root / "d2lext" / "paddle").mkdir()
    with pytest.raises(BookError, match="the folder d2lext/paddle and its __init__"):
        copy.notebook("paddle")
    (copy.root / "d2lext" / "paddle" / "__init__.py").write_text("")
    assert copy.edition("paddle").is_stale
    copy.edit("x = 1", "net = d2l.DenseNet()")
    with pytest.raises(BookError, match=r":16: .*d2lext/paddle/densenet.py, .* export"):
        copy.notebook("paddle")


def test_an_import_of_a_framework_that_there_is_not(copy):
    copy.edit("x = 1", "y = 1\nfrom d2lext import jax, tensorfow")
    with pytest.raises(BookError, match=r"01-tiny.md:16: .*d2lext/tensorfow"):
        copy.notebook("torch")


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "file"
    assert files.write(path, "old")
    assert not files.write(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BookError, match="No space left.*as it was before"):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_merging_makes_tabs_of_what_differs(recorded):
    page = tabs.merged([recorded.edition(backend) for backend in IDS])
    tags = [cell.metadata.tags for cell in page.cells]
    four = [[f"tab-{backend}"] for backend in IDS]
    assert tags == [[], *four, *four, ["train"], ["export", "tab-torch"]]
    shown = [run.shown_text(cell.outputs) for cell in page.cells if "outputs" in cell]
    assert shown == ["", "", "", "", "1", "2", "2", "2", "42", ""]


def test_export_writes_what_its_definitions_need(tiny):
    tiny.edit("x = 1", "import math\nimport os.path\nfrom math import pi, e as euler")
    tiny.edit("return 2 * x", "return math.pi * euler * x")
    paths = export.write(tiny.book)
    assert [path.name for path in paths] == ["tiny.py"]
    text = paths[0].read_text()
    assert "chapters/01-tiny.md" in text.splitlines()[0]
    assert "import math\nfrom math import e as euler\n" in text
    assert "os" not in text.split('"""')[2]
    assert "# Tiny" in text
    assert export.outdated(tiny.book) == []
    tiny.edit("euler * x", "x")
    assert [path.name for path in export.outdated(tiny.book)] == ["tiny.py"]


def test_only_definitions_are_exported(tiny):
    tiny.edit("    return 2 * x", "    return 2 * x\n\ny = double(1)")
    with pytest.raises(
        BookError, match=r"01-tiny.md:47: an exported cell holds classes"
    ):
        export.write(tiny.book)


def test_check_finds_what_is_out_of_date(copy, monkeypatch):
    monkeypatch.setattr(check, "_style", lambda root: [])
    assert [p for p in check.problems(copy.root) if "tiny.ipynb" in p] == []
    copy.edit("See ", "Look at ")
    copy.edit("2 * x", "3 * x")
    problems = "\n".join(check.problems(copy.root))
    assert "d2lext/torch/tiny.py differs from its chapter" in problems
    assert "notebooks/torch/01-tiny.ipynb was recorded from other code" in problems
    assert "notebooks/jax/01-tiny.ipynb differs from its chapter" in problems


def test_check_refuses_short_and_synthetic_runs(copy, monkeypatch):
    monkeypatch.setattr(check, "_style", lambda root: [])
    edition = copy.edition("jax")
    edition.notebook.metadata[store.KEY]["recorded"] |= {"fast": True, "synthetic": True}
    edition.write()
    problems = "\n".join(check.problems(copy.root, ["jax"]))
    assert "recorded in fast mode" in problems
    assert "recorded in synthetic mode" in problems


@pytest.mark.parametrize("place", ["chapter", "notebook"])
def test_check_compares_what_is_recorded_with_what_is_stated(copy, monkeypatch, place):
    monkeypatch.setattr(check, "_style", lambda root: [])
    if place == "chapter":
        copy.edit("{torch: 1,", "{torch: 9,")
    else:
        text = copy.path("torch").read_text()
        assert text.count('"1\\n"') == 1
        copy.path("torch").write_text(text.replace('"1\\n"', '"9\\n"'))
    problems = "\n".join(check.problems(copy.root, ["torch"]))
    assert "01-tiny.md:30: the torch cell shows another output" in problems


SHARED = """\
# Shared

```{code-cell}
from d2lext import jax, torch
from d2lext.core.densenet import parity

def names(d2l):
    return d2l.predict

print(sorted(parity.TOLERANCES)[0])
```
"""


@pytest.fixture
def shared(tmp_path, root):
    """A book of one chapter whose code is the same for every framework."""
    tiny = Tiny(tmp_path, root)
    (tmp_path / "chapters" / "01-tiny.md").write_text(SHARED, encoding="utf-8")
    return tiny


def test_a_shared_chapter_is_recorded_once_for_all(shared):
    lines = []
    run.record(shared.edition("torch"), progress=lines.append)
    assert lines[0] == "running 01-tiny (all)"
    assert lines[1].startswith("recorded 01-tiny (all) in ")
    assert len(lines) == 2
    assert shared.stale() == set()
    for backend in IDS:
        notebook = nbformat.read(shared.path(backend), as_version=4)
        assert run.shown_text(notebook.cells[1].outputs) == "gradients"
    # It depends on what it imports of any framework, and on nothing else.
    shared.edit("def predict", "def predicted", "d2lext/mxnet/models.py")
    assert shared.stale() == set()
    shared.edit("5e-4", "5e-3", "d2lext/core/densenet/parity.py")
    assert shared.stale() == set(IDS)
    shared.edit("5e-3", "5e-4", "d2lext/core/densenet/parity.py")
    shared.edit("def predict", "def predicted", "d2lext/jax/models.py")
    assert shared.stale() == set(IDS)


def test_equal_notebooks_are_tested_once(shared, capsys):
    chosen = commands.notebooks_to_test(shared.root, IDS)
    assert chosen == ["notebooks/torch/01-tiny.ipynb"]
    assert commands.notebooks_to_test(shared.root, ("jax",)) == []
    assert "needs all four frameworks" in capsys.readouterr().out
