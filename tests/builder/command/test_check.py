"""What `check` finds."""

import json
import shutil

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from builder.command import check
from builder.notebooks import store
from builder.sync import sync
from d2lext.core.frameworks import IDS


def test_check_finds_what_is_out_of_date(copy, monkeypatch):
    monkeypatch.setattr(check, "_findings", lambda root: [])
    assert [p for p in check.problems(copy.root) if "tiny.ipynb" in p] == []
    copy.edit("See ", "Look at ")
    copy.edit("2 * x", "3 * x")
    problems = "\n".join(check.problems(copy.root))
    assert "d2lext/torch/tiny.py differs from its chapter" in problems
    assert "notebooks/torch/01-tiny.ipynb was recorded from different code" in problems
    assert "notebooks/jax/01-tiny.ipynb differs from its chapter" in problems


@pytest.mark.parametrize(
    "save",
    [
        lambda text: text.replace("\n", "\r\n").encode(),  # between cells
        lambda text: text.replace("\\n", "\\r\\n").encode(),  # within all of them
        lambda text: text.replace("\\n", "\\r\\n", 1).encode(),  # within one
        lambda text: text.encode("utf-8-sig"),
        lambda text: json.dumps(json.loads(text)).encode(),
        lambda text: text.replace(
            '"print(x)', '"\\n", "\\r\\n", "print(x)', 1
        ).encode(),
        lambda text: with_an_empty_cell(text).encode(),
    ],
)
def test_another_form_of_a_file_is_no_difference(copy, monkeypatch, save):
    """Nor one that `sync`, which has nothing to carry back then, would leave."""
    monkeypatch.setattr(check, "_findings", lambda root: [])
    chapter, path = copy.root / "chapters" / "01-tiny.md", copy.path("torch")
    before, text = path.read_bytes(), path.read_text("utf-8")
    path.write_bytes(save(text))
    assert path.read_bytes() != before
    assert [p for p in check.problems(copy.root) if "tiny.ipynb" in p] == []
    assert sync.sync(copy.book, copy.book.chapters, IDS) == []
    path.write_bytes(save(text.replace("print(x)", "print(x)  # one", 1)))
    assert len(sync.sync(copy.book, copy.book.chapters, IDS)) == 1
    assert b"print(x)  # one\n" in chapter.read_bytes()
    assert [p for p in check.problems(copy.root) if "tiny.ipynb" in p] == []


def with_an_empty_cell(text, outputs=()):
    """As JupyterLab adds below the last cell that is run."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.cells.append(new_code_cell("", id="empty", outputs=[*outputs]))
    return nbformat.writes(notebook)


def test_an_output_of_an_empty_cell_is_a_difference(copy, monkeypatch):
    monkeypatch.setattr(check, "_findings", lambda root: [])
    path, shown = copy.path("torch"), new_output("stream", text="0.99\n")
    path.write_text(with_an_empty_cell(path.read_text(), [shown]))
    [problem] = [p for p in check.problems(copy.root) if "tiny.ipynb" in p]
    assert "notebooks/torch/01-tiny.ipynb differs from its chapter" in problem


def test_check_refuses_short_and_synthetic_runs(copy, monkeypatch):
    monkeypatch.setattr(check, "_findings", lambda root: [])
    edition = copy.edition("jax")
    edition.notebook.metadata[store.KEY]["recorded"] |= {
        "fast": True,
        "synthetic": True,
    }
    edition.write()
    problems = "\n".join(check.problems(copy.root, ["jax"]))
    assert "recorded in fast mode" in problems
    assert "recorded in synthetic mode" in problems


def test_check_compares_what_is_recorded_with_what_is_stated(copy, monkeypatch):
    monkeypatch.setattr(check, "_findings", lambda root: [])
    copy.edit("{torch: 1,", "{torch: 9,")
    problems = "\n".join(check.problems(copy.root, ["torch"]))
    assert (
        "01-tiny.md:30: the torch cell's output differs from its `expect:`" in problems
    )


def test_check_finds_faults_of_cells_in_their_chapter(copy, monkeypatch):
    edition = copy.edition("torch")
    sources = [cell.source for cell in edition.notebook.cells]
    place = next(i for i, source in enumerate(sources) if "2 * x" in source)
    rows = sources[place].split("\n")
    row = next(i for i, line in enumerate(rows) if "2 * x" in line)
    finding = f"{edition.shown_path}:cell {place + 1}:{row + 1}:5: F401 unused"
    monkeypatch.setattr(check, "_findings", lambda root: [finding, finding])
    text = (copy.root / edition.chapter.path).read_text()
    line = text[: text.index(sources[place])].count("\n") + row + 1
    problems = [each for each in check.problems(copy.root) if "F401" in each]
    assert problems == [f"{edition.chapter.path}:{line}: F401 unused"]


def test_check_knows_what_magics_bind(tmp_path, root):
    shutil.copy(root / "pyproject.toml", tmp_path)
    (tmp_path / "notebooks" / "torch").mkdir(parents=True)
    sources = ["%%capture --no-stderr shown\nprint(5)", "shown.stdout", "!ls {lost}"]
    sources += [
        "%%bash --out listed\nls",
        "listed",
        "files = !ls\nprint(files)",
        "%time first, rest = 1, [2]\nfirst",
        "lost",
    ]
    cells = [new_code_cell(source) for source in sources]
    path = tmp_path / "notebooks" / "torch" / "01-a.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    found = [line for line in check._findings(tmp_path) if ".ipynb" in line]
    assert [line.partition(" F821 ")[2] for line in found] == ["Undefined name `lost`"]


def test_check_says_once_that_there_are_no_notebooks(copy):
    (copy.root / "pyproject.toml").write_text("")
    before = check.problems(copy.root)  # of the little root, not of its notebooks
    assert not [problem for problem in before if "notebook" in problem]
    shutil.rmtree(copy.root / "notebooks")
    after = [problem for problem in check.problems(copy.root) if problem not in before]
    assert after == ["there are no notebooks: python build.py writes and runs them"]


def test_check_names_what_is_missing_and_what_is_damaged(copy, monkeypatch):
    monkeypatch.setattr(check, "_findings", lambda root: [])
    monkeypatch.setattr(check, "_exports", lambda book, backends: [])
    copy.path("torch").unlink()
    copy.path("jax").write_text("{")
    torch, jax = check.problems(copy.root)
    assert torch == (
        "notebooks/torch/01-tiny.ipynb was never recorded: "
        "python build.py run tiny --backend torch"
    )
    assert jax.startswith("notebooks/jax/01-tiny.ipynb is damaged")


ANNOTATED = {
    "builder/wrong.py": "def one() -> int:\n    return str(1)\n",
    "builder/partial.py": "def same(n) -> int:\n    return n\n",
    "builder/bare.py": "def same(n):\n    return n\n",
    "builder/unused.py": "n = 1  # type: ignore\n",
    "d2lext/core/right.py": "def same(n: int) -> int:\n    return _same(n)\n\n\n"
    "def _same(n):\n    return n\n",
    "d2lext/torch/teaching.py": "def same(n):\n    return n\n",
}


def test_check_finds_missing_and_wrong_annotations(tmp_path, root):
    shutil.copy(root / "pyproject.toml", tmp_path)
    for name, text in ANNOTATED.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    findings = [line for line in check._findings(tmp_path) if ".py:" in line]
    for start in (
        "builder/wrong.py:2: error: Incompatible return value",
        "builder/partial.py:1: error: Function is missing a type annotation",
        "builder/bare.py:1:5: ANN201 Missing return type",
        'builder/unused.py:1: error: Unused "type: ignore"',
    ):
        [line] = [line for line in findings if line.startswith(start)]
        findings.remove(line)
    assert findings == []
