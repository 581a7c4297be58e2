"""Edits made in notebooks come back to the chapter, and everything else stays."""

import dataclasses
import re
import shutil
from itertools import chain, combinations

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell
from shared import ROOT

from builder import files
from builder.command import main as cli
from builder.errors import BookError
from builder.notebooks import store
from builder.notebooks.edition import Edition, check_unedited, editions
from builder.source import chapter as chapters
from builder.source.book import Book
from builder.sync import order, sync
from d2lext.core.frameworks import IDS

PROJECT = ROOT
CHAPTER = r"""---
jupytext:
  text_representation: {format_name: myst}
---

(chap-blocks)=
# Dense Blocks

A sum mixes its terms {cite:p}`he2016deep`, as {eq}`eq-sum` says.
Read {numref}`fig-box` beside it.{spaces}

% Only the author reads this line.

$$
f(x) = x + g(x).
$$ (eq-sum)

:::{figure} img/box.svg
:name: fig-box
:alt: A box beside another.

What a layer adds, by {eq}`eq-sum`.
:::

More text stands here.

```{code-cell}
:tags: [torch]
import torch  # the first one
```

```{code-cell}
---
tags:   [mxnet]
---
import mxnet
```

```{code-cell}
---
tags: [jax, export]
---
def jax_alone(x):
    return 2 * x
```

```{code-cell}
---
tags: [tensorflow]
---
import tensorflow
```

+++ {"tags": ["torch"]}

PyTorch has *this* to say.

+++ {"tags": ["mxnet", "jax"]}

Two of them share a paragraph, after {numref}`sec-count`.

+++

All of them go on.

```{code-cell}
---
expect: |
  23
---
c, k = 3, 10
print(c + 2 * k)
```

(sec-count)=
## Counting

```{code-cell}
---
tags: [train]
---
total = c + k

print(total)
```

+++ {"tags": ["slide"]}

For lectures alone.

+++

The end, with `{eq}` in code.

:::{note}
A note, {cite:t}`he2016deep`.
:::
"""
CHAPTER = CHAPTER.replace("{spaces}", "   ")  # an edit leaves such spaces, too
OTHER = "# Another\n\nSee {numref}`sec-count`.\n"


class Small:
    """A book with one chapter of everything, and its notebooks."""

    def __init__(self, root):
        self.root = root
        (root / "chapters" / "img").mkdir(parents=True)
        (root / "chapters" / "img" / "box.svg").write_text("<svg/>")
        shutil.copy(PROJECT / "chapters" / "references.bib", root / "chapters")
        (root / "d2lext").symlink_to(PROJECT / "d2lext")
        self.written = {}  # the notebooks as they were split at first
        self.reset()

    def reset(self, text=CHAPTER):
        self.chapter.write_text(text, newline="")
        (self.root / "chapters" / "02-another.md").write_text(OTHER)
        if self.written.get("text") != text:
            self.split()
            paths = (self.root / "notebooks").glob("*/*")
            self.written = {"text": text, **{path: path.read_bytes() for path in paths}}
        for path in (self.root / "notebooks").glob("*/*"):
            path.write_bytes(self.written[path])

    @property
    def chapter(self):
        return self.root / "chapters" / "01-blocks.md"

    @property
    def text(self):
        return self.chapter.read_bytes().decode()

    def path(self, backend):
        return self.root / "notebooks" / backend / "01-blocks.ipynb"

    def split(self):
        book = Book(self.root)
        chapter = book.find("blocks")
        for backend in IDS:
            Edition(book, chapter, backend).write()

    def sync(self, backends=IDS):
        book = Book(self.root)
        return sync.sync(book, book.chapters, backends)

    def read(self, backend):
        return nbformat.read(self.path(backend), as_version=4)

    def shown(self, backend):
        return [(cell.cell_type, cell.source) for cell in self.read(backend).cells]

    def tags(self, backend):
        """Its author's tags, cell by cell."""
        tags = [cell.metadata.get("tags", ()) for cell in self.read(backend).cells]
        return [sorted(set(own) - {store.IGNORED}) for own in tags]

    def edit(self, backend, change):
        """Apply `change` to the list of a notebook's cells."""
        notebook = self.read(backend)
        change(notebook.cells)
        nbformat.write(notebook, self.path(backend))

    def replace(self, old, new, *backends):
        """Replace `old` in the cells of notebooks, where it stands once."""
        for backend in backends:

            def change(cells):
                [cell] = [cell for cell in cells if old in cell.source]
                assert cell.source.count(old) == 1
                cell.source = cell.source.replace(old, new)

            self.edit(backend, change)


@pytest.fixture
def small(tmp_path):
    return Small(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """For the property tests, which bring it back to its beginning each time."""
    return Small(tmp_path_factory.mktemp("book"))


def test_split_then_sync_changes_nothing(small):
    before = {path: path.read_bytes() for path in small.root.rglob("*.[im]*")}
    assert small.sync() == []
    assert before == {path: path.read_bytes() for path in small.root.rglob("*.[im]*")}


def test_the_books_own_chapters_stay_as_they_are(tmp_path):
    shutil.copytree(PROJECT / "chapters", tmp_path / "chapters")
    (tmp_path / "d2lext").symlink_to(PROJECT / "d2lext")
    book = Book(tmp_path)
    for chapter in book.chapters:
        for backend in IDS:
            edition = Edition(book, chapter, backend)
            for cell in edition.notebook.cells:
                cell.source += "\n"  # white space at the end is no edit
                if cell.cell_type == "code":
                    cell.execution_count = 7  # nor is what a run leaves
                    cell.outputs = [nbformat.v4.new_output("stream", text="x")]
            edition.write()
    assert sync.sync(book, book.chapters, IDS) == []
    for path in (PROJECT / "chapters").glob("*.md"):
        assert (tmp_path / "chapters" / path.name).read_bytes() == path.read_bytes()


def test_a_notebook_with_edits_is_not_written_anew(small):
    """Empty lines around a cell are no edit."""
    book = Book(small.root)

    def add_lines(cells):
        for cell in cells:
            cell.source = f"\n{cell.source}\n\n"

    small.edit("torch", add_lines)
    check_unedited(editions(book, backends=IDS))
    small.replace("More text", "Much more **text**", "jax")
    with pytest.raises(BookError, match=r"jax/.*\.ipynb was edited.*build\.py sync"):
        check_unedited(editions(book, backends=IDS))
    check_unedited(editions(book, backends=["torch"]))
    assert small.sync() != []
    another = nbformat.v4.new_notebook(cells=small.read("jax").cells)
    nbformat.write(another, small.path("jax"))
    with pytest.raises(BookError, match="move the file away"):
        check_unedited(editions(book, backends=["jax"]))
    small.path("jax").unlink()
    check_unedited(editions(book, backends=IDS))


@pytest.mark.parametrize("backends", [("jax",), IDS])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c, k = 3, 10", "c, k = 4, 10\nassert k"),  # code of all
        ("More text", "Much more **text**"),  # prose of all
        ("mixes its terms", "mixes them"),  # in a line with roles
        ("f(x) = x", "f(x) = 1 \\cdot x"),  # a formula with a number
        ("A box beside", "A crate beside"),  # a figure's description
        ("a layer adds", "each layer adds"),  # its caption
        ("in code.", "in code.\n\nAnd more."),
        ("A note, ", "A remark, "),
        ("# Dense Blocks", "# Denser Blocks"),
        ("## Counting", "## To Count"),
    ],
)
def test_an_edit_of_a_shared_cell(small, old, new, backends):
    # An arithmetic of bytes: exactly this, exactly there.
    old_text, before = small.text, small.shown("tensorflow")
    small.replace(old, new, *backends)
    edited = small.shown(backends[0])
    assert len(small.sync()) == 1
    assert small.text == old_text.replace(old, new)
    small.split()
    assert small.shown(backends[0]) == edited
    changed = [a != b for a, b in zip(before, small.shown("tensorflow"), strict=True)]
    assert sum(changed) == 1


@pytest.mark.parametrize(
    ("backend", "old", "new"),
    [
        ("torch", "  # the first one", ""),
        ("jax", "return 2 * x", "return 3 * x"),
        ("torch", "*this*", "*that*"),
        ("jax", "share a paragraph", "share it"),
    ],
)
def test_an_edit_of_one_frameworks_cell(small, backend, old, new):
    old_text, other = small.text, small.shown("tensorflow")
    small.replace(old, new, backend)
    assert len(small.sync()) == 1
    assert small.text == old_text.replace(old, new)
    small.split()
    assert small.shown("tensorflow") == other


def test_references_elsewhere_in_a_paragraph_stay(small):
    small.replace(
        "A sum mixes its terms (He *et al.*, 2016a), as (1.1) says.\nRead Figure 1.1 "
        "beside it.",
        "See Figure 1.1.\nBy (1.1), and not only by it, a sum mixes terms.",
        "jax",
    )
    small.sync()
    assert (
        "See {numref}`fig-box`.\n"
        "By {eq}`eq-sum`, and not only by it, a sum mixes terms." in small.text
    )
    assert "% Only the author reads this line." in small.text


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("Read Figure 1.1", "Read Figure 1.2", 10),
        ("as (1.1) says", "as (2.7) says", 9),
        ("(He *et al.*, 2016a)", "(He *et al.*, 2015)", 9),
        (r"\qquad (1.1)", r"\qquad (1.3)", 15),
        ("img/box.svg", "img/other.svg", 20),
        ("*Figure 1.1.*", "*Drawing 1.1.*", 20),
        ("*Figure 1.1.* ", "", 20),
    ],
)
def test_what_is_generated_cannot_be_edited(small, old, new, line):
    before = small.text
    small.replace(old, new, "torch")
    with pytest.raises(BookError) as error:
        small.sync()
    assert re.search(r"chapters/01-blocks.md:(\d+): ", str(error.value))[1] in (
        str(line),
        str(line - 1),
        str(line + 1),
    )
    assert "generated from the chapter" in str(error.value)
    assert "notebooks/torch/01-blocks.ipynb" in str(error.value)
    assert small.text == before


def test_a_figure_can_be_deleted(small):
    small.edit(
        "torch",
        lambda cells: cells[0].update(
            source=re.sub(
                r"Read Figure 1.1 beside it. *\n|!\[.*says\.\n\n(?=More)|!\[.*?(?=More)",
                "",
                cells[0].source,
                flags=re.S,
            )
        ),
    )
    small.sync()
    assert "figure" not in small.text
    assert ":::\n\nMore" not in small.text
    assert "$$ (eq-sum)\n\nMore text" in small.text


def test_new_references_may_be_written_in_a_notebook(small):
    small.replace("More text", "By {cite:p}`huang2017densely`, more text", "torch")
    small.sync()
    assert "By {cite:p}`huang2017densely`, more text" in small.text
    assert "By (Huang *et al.*, 2017), more text" in small.shown("jax")[0][1]


def test_an_unknown_label_is_refused(small):
    small.replace("More text", "By {eq}`eq-nothing`, more text", "torch")
    with pytest.raises(BookError, match="eq-nothing.*does not define"):
        small.sync()


def test_new_cells_for_one_and_for_all(small):
    for backend in IDS:
        small.edit(
            backend,
            lambda cells: cells.extend(
                [new_markdown_cell("Then:"), new_code_cell("print(k)")]
            ),
        )
    small.edit("jax", lambda cells: cells.insert(2, new_code_cell("y = 1")))
    small.edit(
        "torch",
        lambda cells: cells.insert(
            1, new_markdown_cell("PyTorch again.", metadata={"tags": ["exercise"]})
        ),
    )
    edited = {backend: small.shown(backend) for backend in IDS}
    assert len(small.sync()) == 4
    assert ":::\n\n+++\n\nThen:\n\n```{code-cell}\nprint(k)\n```\n" in small.text
    assert (
        "    return 2 * x\n```\n\n```{code-cell}\n---\ntags: [jax]\n---\ny = 1\n```\n"
        in small.text
    )
    assert '+++ {"tags": ["torch", "exercise"]}\n\nPyTorch again.\n\n' in small.text
    small.split()
    assert {backend: small.shown(backend) for backend in IDS} == edited
    assert small.sync() == []


def test_equal_new_cells_in_different_places_are_two(small):
    small.edit("torch", lambda cells: cells.insert(0, new_code_cell("z = 1")))
    small.edit("jax", lambda cells: cells.append(new_code_cell("z = 1")))
    edited = {backend: small.shown(backend) for backend in ("torch", "jax")}
    assert len(small.sync()) == 2
    assert "tags: [torch]\n---\nz = 1\n```\n\n(chap-blocks)=" in small.text
    assert small.text.endswith("tags: [jax]\n---\nz = 1\n```\n")
    small.split()
    assert {backend: small.shown(backend) for backend in edited} == edited


def test_what_jupyterlab_adds_is_no_edit(small):
    def saved(cells):
        for cell in cells:
            cell.metadata |= {"collapsed": True, "editable": True}
            cell.metadata.setdefault("tags", [])
            cell.metadata["slideshow"] = {"slide_type": ""}
            if cell.cell_type == "code":
                cell.metadata["jupyter"] = {"outputs_hidden": False}
                cell.execution_count = 42
            else:
                cell.attachments = {"a.png": {"image/png": "aGk="}}

    small.edit("jax", saved)
    book, text = Book(small.root), small.text
    check_unedited(editions(book, backends=IDS))
    assert small.sync() == []
    small.edit("jax", moved("jax_alone", "c, k"))
    assert len(small.sync()) == 1
    assert small.text == text.replace(JAX, "").replace("(sec-c", f"{JAX}(sec-c", 1)


def test_an_empty_cell_at_the_end_is_no_edit(small):
    small.edit("torch", lambda cells: cells.append(new_code_cell("")))
    assert small.sync() == []


def test_deleting_leaves_neighbours_apart(small):
    def delete(cells):
        del cells[1]  # torch's import, between two cells of prose

    small.edit("torch", delete)
    edited = small.shown("torch")
    small.sync()
    assert "the first one" not in small.text
    assert "import mxnet" in small.text
    small.split()
    assert small.shown("torch") == edited


def test_a_label_in_use_cannot_be_deleted(small):
    before = small.text
    small.replace("## Counting", "Counting", "torch")
    with pytest.raises(BookError, match="unknown label 'sec-count'"):
        small.sync()
    assert small.text == before


def test_two_notebooks_that_disagree(small):
    before = small.text
    small.replace("c, k = 3, 10", "c, k = 4, 10", "torch")
    small.replace("c, k = 3, 10", "c, k = 5, 10", "jax")
    small.replace("More text", "Less text", "jax")
    with pytest.raises(BookError, match="01-blocks.md:.*two notebooks") as error:
        small.sync()
    assert "-c, k = 4, 10" in str(error.value)
    assert "+c, k = 5, 10" in str(error.value)
    assert "--- notebooks/torch/01-blocks.ipynb" in str(error.value)
    assert "+++ notebooks/jax/01-blocks.ipynb" in str(error.value)
    assert small.text == before
    # One of them alone can be asked for.
    small.sync(["torch"])
    assert "c, k = 4, 10" in small.text
    assert "c, k = 5, 10" in dict(small.shown("jax"))["code"] or any(
        "c, k = 5, 10" in source for _, source in small.shown("jax")
    )


def test_deleted_here_and_changed_there(small):
    small.replace("c, k = 3, 10", "c, k = 4, 10", "torch")
    small.edit("jax", lambda cells: cells.pop(4))
    assert all("c, k" not in source for _, source in small.shown("jax"))
    with pytest.raises(BookError, match=r"(?s)two notebooks.*\(deleted\)"):
        small.sync()


@pytest.mark.parametrize(
    ("old", "new", "mine"),
    [
        ("print(total)", "print(k, total)", "print(total, k)"),
        ("More text", "Some text", "Most text"),
        ("More text", "Some text", None),
    ],
)
def test_chapter_and_notebook_disagree(small, old, new, mine):
    if mine:
        small.replace(old, mine, "jax")
    else:
        small.edit("jax", lambda cells: cells.pop(0))
    edited = small.text.replace(old, new)
    small.chapter.write_text(edited)
    with pytest.raises(BookError, match="changed here and in notebooks/jax") as error:
        small.sync()
    assert new in str(error.value)
    assert mine is None or mine in str(error.value)
    assert small.text == edited


def test_what_only_the_chapter_changed_stays(small):
    small.replace("print(total)", "print(total, k)", "jax")
    changes = {
        "More text": "Some text",
        "import torch": "import numpy, torch",
        "PyTorch has": "New.\n\n```{code-cell}\nnew = 1\n```\n\nPyTorch has",
        "Two of them share a paragraph, after {numref}`sec-count`.\n\n+++\n\n": "",
        # Another number for a reference in cells that nobody edited:
        ":::{figure}": ":::{figure} img/box.svg\n:alt: One more.\n\nOne more.\n:::\n\n"
        ":::{figure}",
    }
    text = small.text
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    small.chapter.write_text(text)
    small.sync()
    assert small.text == text.replace("print(total)", "print(total, k)")


def test_an_interrupted_sync_goes_on(small):
    small.replace("print(total)", "print(total, k)", "jax")
    small.edit("jax", lambda cells: cells.insert(3, new_code_cell("z = 1")))
    notebook = small.path("jax").read_bytes()
    small.sync()
    text = small.text
    small.path("jax").write_bytes(notebook)  # the chapter was written, this was not
    assert small.sync() == []
    assert small.text == text
    # Nor is the notebook in anyone's way any more.
    book = Book(small.root)
    check_unedited(editions(book, backends=IDS))


def test_cut_and_paste_in_place_is_no_edit(small):
    def cut_and_paste(cells):
        cells[0] = new_markdown_cell(cells[0].source)

    small.edit("torch", cut_and_paste)
    assert small.sync() == []


def moved(old, new, *texts):
    """An edit: the first cell with `old` goes behind the one with `new`, or to the top."""

    def edit(cells):
        [cell] = [cell for cell in cells if old in cell.source]
        cells.remove(cell)
        places = [i for i, other in enumerate(cells) if new and new in other.source]
        cells.insert(places[0] + 1 if new else 0, cell)

    return edit


TORCH = "```{code-cell}\n:tags: [torch]\nimport torch  # the first one\n```\n\n"
JAX = (
    "```{code-cell}\n---\ntags: [jax, export]\n---\n"
    "def jax_alone(x):\n    return 2 * x\n```\n\n"
)
SUM = (
    "```{code-cell}\n---\nexpect: |\n  23\n---\nc, k = 3, 10\nprint(c + 2 * k)\n```\n\n"
)
SAYS = '+++ {"tags": ["torch"]}\n\nPyTorch has *this* to say.\n\n'


@pytest.mark.parametrize(
    ("backends", "edit", "cells", "before"),
    [
        # Past cells for all; its options come along.
        (["jax"], ("jax_alone", "c, k"), [JAX], "(sec-count)="),
        (["torch"], ("c, k", "total ="), [SUM], '+++ {"tags": ["slide"]}'),
        (IDS, ("c, k", "total ="), [SUM], '+++ {"tags": ["slide"]}'),
        # A cell for all leaves the tabs together that the notebook shows one of.
        (["mxnet"], ("c, k", "More text"), [SUM], TORCH),
        (["jax", "tensorflow"], ("c, k", "More text"), [SUM], TORCH),
        # What changes places with a cell for all is the framework's own cell.
        (
            ["torch"],
            ("All of them", "More text"),
            [TORCH, SAYS],
            "```{code-cell}\n---\nexpect",
        ),
    ],
)
def test_a_moved_cell_moves_in_the_chapter(small, backends, edit, cells, before):
    expected, shown = small.text, {b: small.shown(b) for b in IDS}
    for backend in backends:
        small.edit(backend, moved(*edit))
    edited = {b: small.shown(b) for b in backends}
    assert all(": moved" in line for line in small.sync())
    # Arithmetic of lines: taken out there, put in here.
    for cell in cells:
        assert expected.count(cell) == 1
        expected = expected.replace(cell, "")
    expected = expected.replace(before, "".join(cells) + before)
    # Prose that has no code before it any more begins a cell after +++.
    expected = expected.replace("go on.\n\n(", "go on.\n\n+++\n\n(")
    assert small.text == expected
    small.split()
    for backend in IDS:
        assert sorted(small.shown(backend)) == sorted(shown[backend])
        assert small.shown(backend) == edited.get(backend, small.shown(backend))
    assert small.sync() == []


def test_a_cell_moves_and_changes_at_once(small):
    small.replace("return 2 * x", "return 3 * x", "jax")
    small.edit("jax", moved("jax_alone", "All of them"))
    small.replace("c, k = 3, 10", "c, k = 4, 10", "torch")
    edited = {backend: small.shown(backend) for backend in ("jax", "torch")}
    done = small.sync()
    assert sorted(line.split(": ")[1].split(",")[0] for line in done) == ["changed"] * 2
    assert any("changed, moved (JAX), from notebooks/jax" in line for line in done)
    small.split()
    assert small.shown("jax")[-4:-2] != edited["jax"][-4:-2]  # torch's edit
    assert small.shown("torch") == edited["torch"]
    assert "tags: [jax, export]\n---\ndef jax_alone(x):\n    return 3 * x" in small.text


def test_a_cell_moved_to_two_places(small):
    before = small.text
    small.edit("torch", moved("c, k", "total ="))
    small.edit("jax", moved("c, k", None))
    with pytest.raises(
        BookError, match=r"01-blocks.md:\d+: .*different places"
    ) as error:
        small.sync()
    assert "--- notebooks/" in str(error.value)
    assert "+++ notebooks/" in str(error.value)
    assert "-c, k = 3, 10" in str(error.value)
    assert "+c, k = 3, 10" in str(error.value)
    assert small.text == before
    assert len(small.sync(["torch"])) == 1


def test_a_cell_moved_here_and_there(small):
    text = small.text.replace(SUM, "").replace("(chap-blocks)=", f"{SUM}(chap-blocks)=")
    small.chapter.write_text(text)
    small.edit("jax", moved("c, k", "total ="))
    with pytest.raises(BookError, match="different places") as error:
        small.sync()
    assert "chapters/01-blocks.md\n" in str(error.value)
    assert small.text == text
    # Moved to the same place in both, it is no edit; and what else was is carried.
    small.edit("jax", moved("c, k", None))
    small.edit("jax", lambda cells: cells.append(new_code_cell("z = 1")))
    assert len(small.sync()) == 1
    assert small.text == text + "\n```{code-cell}\n---\ntags: [jax]\n---\nz = 1\n```\n"


def tagged(text, *tags):
    """An edit: other tags for the cell with that text."""

    def edit(cells):
        [cell] = [cell for cell in cells if text in cell.source]
        cell.metadata["tags"] = list(tags)

    return edit


@pytest.mark.parametrize(
    ("backend", "edit", "old", "new"),
    [
        ("torch", ("import torch", "slide"), ":tags: [torch]", ":tags: [torch, slide]"),
        ("mxnet", ("import mxnet", "slide"), "tags:   [mxnet]", "tags: [mxnet, slide]"),
        ("jax", ("jax_alone",), "tags: [jax, export]", "tags: [jax]"),
        ("jax", ("total =", store.IGNORED), "---\ntags: [train]\n---\n", ""),
        (
            "jax",
            ("c, k", "export", "slide"),
            "expect: |",
            "tags: [export, slide]\nexpect: |",
        ),
        ("jax", ("share a", "exercise"), '"jax"]', '"jax", "exercise"]'),
        (
            "jax",
            ("All of", "solution"),
            "+++\n\nAll",
            '+++ {"tags": ["solution"]}\n\nAll',
        ),
        (
            "jax",
            ("More", "exercise"),
            "\n(chap",
            '\n+++ {"tags": ["exercise"]}\n\n(chap',
        ),
        ("torch", ("total =", "train"), "", ""),  # what the build adds is not missed
        ("torch", ("import torch", "jax"), "[torch]\n", "[torch, jax]\n"),
    ],
)
def test_tags_become_the_chapters(small, backend, edit, old, new):
    before = small.text
    small.edit(backend, tagged(*edit))
    book = Book(small.root)
    if old:
        with pytest.raises(BookError, match="was edited"):
            check_unedited(editions(book, backends=IDS))
    else:
        check_unedited(editions(book, backends=IDS))
    assert len(small.sync()) == (1 if old else 0)
    assert small.text == before.replace(old, new, 1)
    assert small.sync() == []


def test_tags_as_a_list_of_lines(small):
    small.reset(
        CHAPTER.replace("tags: [jax, export]", "tags:\n- jax # ours\n- export\n# x")
    )
    small.edit("jax", tagged("jax_alone", "export", "slide"))
    small.sync()
    assert "---\ntags: [jax, export, slide]\n# x\n---\ndef jax_alone" in small.text


def test_an_unknown_tag_is_an_error(small):
    before = small.text
    small.edit("jax", tagged("c, k", "hide-input"))
    line = CHAPTER[: CHAPTER.index("---\nexpect")].count("\n")
    with pytest.raises(BookError, match=f"md:{line}: unknown tag 'hide-input': choose"):
        small.sync()
    assert small.text == before


def test_tags_that_disagree(small):
    small.edit("jax", tagged("c, k", "slide"))
    small.edit("torch", tagged("c, k", "export"))
    with pytest.raises(
        BookError, match=r"(?s)two notebooks.*\['export'\].*\['slide'\]"
    ):
        small.sync()
    small.edit("torch", tagged("c, k"))
    text = small.text.replace("expect: |", "tags: [exercise]\nexpect: |")
    small.chapter.write_text(text)
    with pytest.raises(BookError, match="changed here and in notebooks/jax") as error:
        small.sync()
    assert "-tags: ['exercise']\n+tags: ['slide']" in str(error.value)
    # A notebook that does not say what its tags were cannot say who changed them.
    small.edit("jax", tagged("c, k"))
    assert small.sync() == []
    notebook = small.read("jax")
    del notebook.metadata[store.KEY]["tags"]
    nbformat.write(notebook, small.path("jax"))
    with pytest.raises(BookError, match="changed here and in notebooks/jax"):
        small.sync()
    assert small.text == text


@pytest.mark.parametrize("error", [KeyboardInterrupt, BookError("disk full")])
@pytest.mark.parametrize("written", [0, 1, 4])
def test_what_is_interrupted_changes_nothing(small, monkeypatch, error, written):
    small.replace("print(total)", "print(total, k)", "jax")
    before = {path: path.read_bytes() for path in small.root.rglob("*.[im]*")}
    write, calls = files.write, []

    def stop(path, text):
        calls.append(path)
        if len(calls) == written + 1:
            raise error
        return write(path, text)

    monkeypatch.setattr(files, "write", stop)
    with pytest.raises((KeyboardInterrupt, BookError)):
        small.sync()
    assert {path: path.read_bytes() for path in small.root.rglob("*.[im]*")} == before
    assert len(small.sync()) == 1


@given(st.permutations(range(6)), st.lists(st.integers(1, 4), min_size=6, max_size=6))
@settings(derandomize=True, deadline=None)
def test_as_few_cells_as_possible_count_as_moved(after, frameworks):
    """Of those for four frameworks first, then of those for three, and so on."""

    def cost(cells):
        return [sum(frameworks[c] == n for c in cells) for n in (4, 3, 2, 1)]

    found = order.moved(list(range(6)), after, lambda cell: frameworks[cell])
    assert sorted(kept := [c for c in after if c not in found]) == kept
    subsets = chain.from_iterable(combinations(after, n) for n in range(7))
    stays = (set(after) - set(s) for s in subsets if list(s) == sorted(s))
    assert cost(found) == min(map(cost, stays))


def test_a_notebook_without_ids_is_refused(small):
    def forget(cells):
        for cell in cells:
            cell.id = "x" + cell.id
            cell.source += " "
        cells[1].source += "# new"

    small.edit("torch", forget)
    with pytest.raises(BookError, match="lost their ids"):
        small.sync()


def test_a_cell_that_would_not_stay_one_is_refused(small):
    before = small.text
    small.replace("More text", "+++\n\nMore text", "torch")
    with pytest.raises(BookError, match="would not"):
        small.sync()
    assert small.text == before


def test_images_inside_cells_are_refused(small):
    small.replace("More text", "![x](attachment:x.png) More text", "torch")
    with pytest.raises(BookError, match="inside a cell"):
        small.sync()


def test_line_ends_of_windows_stay(small):
    small.reset(CHAPTER.replace("\n", "\r\n"))
    small.replace("print(total)", "print(total)\nprint(k)", "jax")
    small.sync()
    assert small.text == CHAPTER.replace(
        "print(total)", "print(total)\nprint(k)"
    ).replace("\n", "\r\n")


def test_the_command_says_what_it_did(small, monkeypatch, capsys):
    monkeypatch.setattr(cli, "ROOT", small.root)
    assert cli.main(["sync"]) == 0
    assert "no notebook was edited" in capsys.readouterr().out
    small.replace("return 2 * x", "return 3 * x", "jax")
    assert cli.main(["sync", "blocks", "--backend", "jax"]) == 0
    line = CHAPTER[: CHAPTER.index("def jax_alone")].count("\n") + 1
    assert (
        f"chapters/01-blocks.md:{line}: changed (JAX), from notebooks/jax/01-blocks.ipynb"
        in capsys.readouterr().out
    )
    small.path("jax").write_text("{")
    assert cli.main(["sync"]) == 1
    assert "no notebook that can be read" in capsys.readouterr().err


WORDS = st.lists(
    st.sampled_from(["alpha", "beta", "x = 1", "of (1.1)", "$y$", "`code`", "1. one"]),
    min_size=1,
    max_size=4,
).map(" ".join)
LINES = st.lists(WORDS, min_size=1, max_size=3)
CODE = st.lists(
    st.sampled_from(
        ["a = 1", "if a:\n    b = 2", "# why", "print('```')", "x = '---'"]
    ),
    min_size=1,
    max_size=3,
).map("\n".join)


# What in the notebooks comes from labels, roles and directives.
FROM_THE_CHAPTER = r"(?m)^#|1\.1|et al|\$\$|!\[|^>|2016a|\*Counting\*|Section"


@settings(
    max_examples=80,
    derandomize=True,  # whoever runs the suite has the same cases
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_any_single_edit_survives(shared, data):
    shared.reset()
    before = {backend: shared.shown(backend) for backend in IDS}
    parts = parts_of(shared)
    first = data.draw(st.sampled_from(IDS), "notebook")
    kinds = ["change", "insert", "delete", "move", "tag"]
    kind = data.draw(st.sampled_from(kinds), "kind")
    everywhere = data.draw(st.booleans(), "in all notebooks that have the cell")
    cells = before[first]
    place = data.draw(st.integers(0, len(cells) - 1), "cell")
    having = [b for b in IDS if everywhere and cells[place] in before[b]] or [first]
    if kind == "change":
        new = _changed(data, *cells[place])
    elif kind == "insert":
        is_code = data.draw(st.booleans(), "code")
        text = data.draw(CODE if is_code else LINES.map("\n\n".join), "text")
        new = ("code" if is_code else "markdown", text)
    elif kind == "move":
        others = [cell for cell in cells if cell != cells[place]]
        behind = data.draw(st.sampled_from([None, *others]), "behind")
        having = [b for b in having if behind is None or behind in before[b]]
    elif kind == "tag":
        tag = data.draw(st.sampled_from([*chapters.TAGS]), "tag")
    for backend in having:
        at = before[backend].index(before[first][place])

        def edit(cells, at=at):
            if kind == "change":
                cells[at].source = new[1]
            elif kind == "delete":
                del cells[at]
            elif kind == "move":
                cell = cells.pop(at)
                texts = [(other.cell_type, other.source) for other in cells]
                cells.insert(texts.index(behind) + 1 if behind else 0, cell)
            elif kind == "tag":
                tags = {*cells[at].metadata.get("tags", ())} ^ {tag}
                cells[at].metadata["tags"] = sorted(tags)
            else:
                make = new_code_cell if new[0] == "code" else new_markdown_cell
                cells.insert(at + 1, make(new[1]))

        shared.edit(backend, edit)
    edited = {backend: shared.shown(backend) for backend in having}
    tags = {backend: shared.tags(backend) for backend in having}
    try:
        shared.sync()
        refused = None
    except BookError as error:
        refused = str(error)
    if refused is not None:
        # A heading that others refer to cannot go, what is generated cannot be edited.
        was = before[first][place][1].split("\n")
        now = edited[first][place][1].split("\n") if kind == "change" else []
        touched = "\n".join(line for line in was if line not in now)
        assert kind not in ("insert", "move")
        assert before[first][place][0] == "markdown"
        assert re.search(FROM_THE_CHAPTER, touched), touched
        assert re.search("unknown label|a title|generated", refused)
        assert shared.text == CHAPTER
        assert {backend: shared.shown(backend) for backend in having} == edited
        return
    shared.split()
    # Prose that only lectures show is in no notebook.
    is_gone = kind == "tag" and cells[place][0] == "markdown" and tag in LECTURE
    for backend in having:
        shown = list(zip(edited[backend], tags[backend], strict=True))
        if is_gone:
            del shown[before[backend].index(cells[place])]
        assert (
            list(zip(shared.shown(backend), shared.tags(backend), strict=True)) == shown
        )
    # Notebooks that never had the cell are as they were.
    for backend in IDS:
        if cells[place] not in before[backend]:
            assert shared.shown(backend) == before[backend]
    # And so are all of the chapter's lines, but for those of one cell.
    lost = [line for line in CHAPTER.split("\n") if line not in shared.text.split("\n")]
    allowed = _source_of(cells[place]) if kind != "insert" else ""
    options = ("tags:", ":tags:", "expect:", "+++", "  23", "---", "```{code-cell}")
    for line in lost:
        assert line in allowed or line.startswith(options)
    if kind == "move":
        assert lost == []
        assert parts_of(shared) == parts  # with all of their options
        for backend in IDS:
            assert sorted(shared.shown(backend)) == sorted(before[backend])
    assert shared.sync() == []


LECTURE = ("slide", "notes")


def parts_of(small):
    """All that the chapter says, cell by cell, in any order."""
    [cells] = [ch.lecture for ch in Book(small.root).chapters if ch.name == "blocks"]
    return sorted(repr(dataclasses.replace(cell, line=0)) for cell in cells)


def _source_of(shown):
    """The chapter's lines around a cell that a notebook shows."""
    first = shown[1].split("\n")[0]
    for part in re.split(r"\n(?=```\{code-cell)|\n\+\+\+|\n```\n", CHAPTER):
        if first in part or (first.startswith("A sum") and first[:8] in part):
            return part
    return CHAPTER


def _changed(data, kind, text):
    """`text` with words put in, taken away or written over at a random place."""
    words = re.findall(r"\S+|\s+", text)
    start = data.draw(st.integers(0, len(words)), "first word")
    length = data.draw(st.integers(0, 6), "words taken away")
    new = data.draw(CODE if kind == "code" else WORDS, "words put in")
    if kind == "code":
        lines = text.split("\n")
        at = data.draw(st.integers(0, len(lines)), "line")
        return kind, "\n".join([*lines[:at], *new.split("\n"), *lines[at:]])
    changed = "".join([*words[:start], new, *words[start + length :]])
    return kind, changed.strip() or "word"
