"""Which edits make a recording stale: those of code that it reaches, and no others."""

import shutil

import nbformat
import pytest

from builder.notebooks import stale
from builder.source import python
from d2lext.core.frameworks import IDS


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

    def hashes():
        cells = {b: [f"from d2lext import {b} as d2l", "d2l.Trainer(1)"] for b in IDS}
        return [stale.code_hash(tmp_path, b, cells[b]) for b in IDS]

    def edit(file, old, new):
        path = tmp_path / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    before = hashes()
    edit("d2lext/jax/trainer.py", '"""The training loop', '"""A training loop')
    assert hashes() == before
    edit("d2lext/jax/device.py", "leaves out the GPU", "has no GPU")
    changed = [a != b for a, b in zip(before, hashes(), strict=True)]
    assert changed == [False, False, True, False]
    edit(
        "d2lext/core/training/epochs.py",
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
