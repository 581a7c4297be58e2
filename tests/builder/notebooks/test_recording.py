"""Outputs in a notebook's file: tampering is found, rewriting by editors is not."""

import copy as copying
import json
import re
import shutil

import pytest
from shared.tiny_book import Tiny

from builder.command import check
from builder.command import main as cli
from builder.sync import sync
from d2lext.core.frameworks import IDS

SHOWN = """\
# Shown

```{code-cell}
x = 1
print("one"); print("two")
```

```{code-cell}
x
```

```{code-cell}
from IPython.display import Image, SVG, display
display(SVG("<svg xmlns='http://www.w3.org/2000/svg'><circle r='1'/></svg>"))
display({"image/png": "aGVs\\nbG8=\\n", "text/plain": "hello"}, raw=True)
```

```{code-cell}
x = 2
```

```{code-cell}
x
```

```{code-cell}
import sys
print("out")
print("err", file=sys.stderr)
display({"application/json": {"b": 1.0, "a": [1, 2]}, "text/plain": "b"}, raw=True)
```
"""
FIRST, X, IMAGES, SET, X_AGAIN, MIXED = range(1, 7)  # the code cells, after the title


@pytest.fixture(scope="module")
def once(tmp_path_factory, root):
    tiny = Tiny(tmp_path_factory.mktemp("shown"), root)
    (tiny.root / "chapters" / "01-tiny.md").write_text(SHOWN)
    tiny.record("torch")
    return tiny


@pytest.fixture
def shown(once, tmp_path, monkeypatch):
    """A copy of a book of one chapter that shows outputs of many kinds."""
    result = object.__new__(Tiny)
    result.root = tmp_path / "shown"
    shutil.copytree(once.root, result.root)
    monkeypatch.setattr(cli, "ROOT", result.root)
    monkeypatch.setattr(check, "_findings", lambda root: [])
    return result


def rewrite(book, change, backend="torch"):
    """Let `change` act on the notebook's JSON, and save it."""
    path = book.path(backend)
    notebook = json.loads(path.read_text())
    notebook = change(notebook) or notebook
    path.write_text(json.dumps(notebook, ensure_ascii=False))


def cleared(cells):
    cells[FIRST]["outputs"] = []


def all_cleared(cells):
    for cell in cells[1:]:
        cell["outputs"] = []


def traceback(cells):
    error = {"output_type": "error", "ename": "E", "evalue": "e", "traceback": []}
    cells[FIRST]["outputs"] = [error]


def followed_by_a_traceback(cells):
    error = {"output_type": "error", "ename": "E", "evalue": "e", "traceback": []}
    cells[FIRST]["outputs"].append(error)


def invented(cells):
    cells[FIRST]["outputs"][0]["text"][1] = "ten\n"


def one_digit(cells):
    cells[X]["outputs"][0]["data"]["text/plain"] = ["7"]


def indented(cells):
    cells[FIRST]["outputs"][0]["text"][1] = " two\n"


def another_image(cells):
    data = cells[IMAGES]["outputs"][0]["data"]
    data["image/svg+xml"] = [line.replace("r=", "R=") for line in data["image/svg+xml"]]


def images_swapped(cells):
    cells[IMAGES]["outputs"].reverse()


def a_larger_image(cells):
    cells[IMAGES]["outputs"][1]["metadata"] = {"image/png": {"width": 9}}


def dropped(cells):
    del cells[IMAGES]["outputs"][0]


def a_type_dropped(cells):
    del cells[IMAGES]["outputs"][0]["data"]["image/svg+xml"]


def added(cells):
    stream = {"output_type": "stream", "name": "stdout", "text": ["one\n"]}
    cells[FIRST]["outputs"].append(stream)


def added_where_none_was(cells):
    cells[SET]["outputs"] = copying.deepcopy(cells[FIRST]["outputs"])


def swapped_between_equal_cells(cells):
    one, other = cells[X], cells[X_AGAIN]
    one["outputs"], other["outputs"] = other["outputs"], one["outputs"]


def another_type(cells):
    data = cells[IMAGES]["outputs"][1]["data"]
    data["image/jpeg"] = data.pop("image/png")


def from_stdout_to_stderr(cells):
    cells[FIRST]["outputs"][0]["name"] = "stderr"


def from_value_to_display(cells):
    output = cells[X]["outputs"][0]
    del output["execution_count"]
    output["output_type"] = "display_data"


def another_value(cells):
    cells[MIXED]["outputs"][-1]["data"]["application/json"]["a"][1] = 3


@pytest.mark.parametrize(
    ("tamper", "where"),
    [
        (cleared, "cleared at chapters/01-tiny.md:4"),
        (all_cleared, "cleared at chapters/01-tiny.md:4 and 4 more"),
        (traceback, "changed at chapters/01-tiny.md:4"),
        (followed_by_a_traceback, "changed at chapters/01-tiny.md:4"),
        (invented, "changed at chapters/01-tiny.md:4"),
        (one_digit, "changed at chapters/01-tiny.md:9"),
        (indented, "changed at chapters/01-tiny.md:4"),
        (another_image, "changed at chapters/01-tiny.md:13"),
        (images_swapped, "changed at chapters/01-tiny.md:13"),
        (a_larger_image, "changed at chapters/01-tiny.md:13"),
        (dropped, "changed at chapters/01-tiny.md:13"),
        (a_type_dropped, "changed at chapters/01-tiny.md:13"),
        (added, "changed at chapters/01-tiny.md:4"),
        (added_where_none_was, "added at chapters/01-tiny.md:19"),
        (swapped_between_equal_cells, "changed at chapters/01-tiny.md:9 and 1 more"),
        (another_type, "changed at chapters/01-tiny.md:13"),
        (from_stdout_to_stderr, "changed at chapters/01-tiny.md:4"),
        (from_value_to_display, "changed at chapters/01-tiny.md:9"),
        (another_value, "changed at chapters/01-tiny.md:27"),
    ],
)
def test_tampering_with_outputs_is_found(shown, tamper, where):
    rewrite(shown, lambda notebook: tamper(notebook["cells"]))
    assert shown.stale() == {"torch"}
    [problem] = check.problems(shown.root)
    assert problem == (
        "notebooks/torch/01-tiny.ipynb has other outputs than were recorded "
        f"({where}): restore it from the repository, or record it again: "
        "python build.py run tiny"
    )
    # Writing the notebook again makes nothing of it good.
    assert shown.edition("torch").write()
    assert shown.stale() == {"torch"}


def in_another_order(notebook):
    """Keys as another program sorts them."""
    if isinstance(notebook, dict):
        items = sorted(notebook.items(), reverse=True)
        return {key: in_another_order(value) for key, value in items}
    if isinstance(notebook, list):
        return [*map(in_another_order, notebook)]
    return notebook


def joined(notebook):
    """Texts in one piece, lines as on Windows, numbers as in JavaScript."""
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
        for output in cell.get("outputs", []):
            if "text" in output:
                text = "".join(output["text"]).replace("\n", "\r\n")
                output["text"] = text.rstrip()
            for kind, value in output.get("data", {}).items():
                if kind != "application/json":
                    output["data"][kind] = "".join(value)
                else:
                    value["b"] = 1


def in_pieces(notebook):
    """A stream in pieces, as it arrived."""
    [output] = notebook["cells"][FIRST]["outputs"]
    pieces = re.findall(r"...?", "".join(output["text"]), re.DOTALL)
    notebook["cells"][FIRST]["outputs"] = [{**output, "text": p} for p in pieces]


def in_vs_code(notebook):
    """Metadata of its own, no numbers of executions, base64 without line ends."""
    for cell in notebook["cells"][1:]:
        cell["execution_count"] = None
        cell["metadata"]["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00Z"}
        for output in cell["outputs"]:
            if "data" in output:
                output["metadata"] = {"vscode": {"languageId": "x"}, "tags": []}
            if output["output_type"] == "execute_result":
                output["execution_count"] = None
            if "image/png" in output.get("data", {}):
                output["data"]["image/png"] = "aGVsbG8="


def in_colab(notebook):
    """Ids in the metadata, an older format."""
    notebook["nbformat_minor"] = 0
    notebook["metadata"]["colab"] = {"provenance": []}
    for cell in notebook["cells"]:
        cell["metadata"] |= {"id": cell.pop("id"), "outputId": "a-b"}
        for output in cell.get("outputs", []):
            if "data" in output:
                output["metadata"] = {"needs_background": "light"}


@pytest.mark.parametrize(
    "save", [in_another_order, joined, in_pieces, in_vs_code, in_colab]
)
def test_saving_without_running_is_no_change(shown, save):
    rewrite(shown, save)
    assert shown.stale() == set()
    assert not shown.edition("torch").changed


def test_an_equal_cell_that_moves_leaves_the_outputs(shown):
    def move(notebook):
        cells = notebook["cells"]
        cells.insert(X, cells.pop(X_AGAIN))

    before = shown.notebook("torch").cells
    rewrite(shown, move)
    after = shown.notebook("torch").cells
    assert [c.get("outputs") for c in before] == [c.get("outputs") for c in after]
    sync.sync(shown.book, shown.book.chapters, ["torch"])
    text = shown.path("torch").read_text()
    [one, two] = re.findall(r'"text/plain": \[\s*"(\d)"', text)
    assert (one, two) == ("1", "2")


def test_outputs_lost_on_the_way_are_missed(shown):
    """A cell loses its output when it changes; changing it back does not bring it."""
    shown.edit('print("two")', 'print("three")')
    assert cli.main(["notebooks"]) == 0
    shown.edit('print("three")', 'print("two")')
    assert cli.main(["notebooks"]) == 0
    assert shown.stale() == set(IDS)
    assert "cleared at chapters/01-tiny.md:4" in shown.edition("jax").stale


def test_edits_of_source_are_told_from_changes_of_outputs(shown, capsys):
    def edit(notebook):
        cells = notebook["cells"]
        cells[FIRST]["source"] = ["x = 1\n", 'print("one"); print("three")']
        invented(cells)  # by running it

    rewrite(shown, edit)
    rewrite(shown, lambda notebook: one_digit(notebook["cells"]), "jax")
    torch, jax = check.problems(shown.root)
    assert torch == (
        "notebooks/torch/01-tiny.ipynb was edited after it was recorded: "
        "python build.py sync tiny, or undo the edits"
    )
    assert jax.startswith("notebooks/jax/01-tiny.ipynb has other outputs than were")
    assert cli.main(["sync", "--backend", "jax"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "nothing to carry back: no notebook was edited"
    assert lines[1].startswith("01-tiny (JAX) is stale, as it has other outputs than")
    assert cli.main(["sync"]) == 0
    assert 'print("three")' in (shown.root / "chapters" / "01-tiny.md").read_text()
    assert {*check.problems(shown.root)} == {
        f"notebooks/{backend}/01-tiny.ipynb was recorded from different code: "
        "python build.py run tiny"
        for backend in IDS
    }


@pytest.mark.parametrize(
    ("hashes", "reason"),
    [
        (None, "was recorded without hashes of its outputs"),
        ({}, "was recorded without hashes of its outputs"),
        ([], "has other outputs than were recorded (added at"),
    ],
)
def test_a_record_that_lost_its_hashes(shown, hashes, reason):
    def lose(notebook):
        notebook["metadata"]["d2lext"]["recorded"]["outputs"] = hashes

    rewrite(shown, lose)
    assert reason in "\n".join(check.problems(shown.root, ["torch"]))


@pytest.mark.parametrize("damaged", [[], "x", {"recorded": 5}, {"recorded": ["x"]}])
def test_a_record_that_is_damaged(shown, damaged):
    rewrite(shown, lambda notebook: notebook["metadata"].update(d2lext=damaged))
    [problem] = check.problems(shown.root, ["torch"])
    assert "torch/01-tiny.ipynb was never recorded" in problem
