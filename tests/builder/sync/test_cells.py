"""New and deleted cells and changed tags come back to the chapter."""

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell
from shared.blocks_book import CHAPTER, JAX, moved, tagged

from builder.errors import BookError
from builder.notebooks import store
from builder.notebooks.edition import check_unedited, editions
from builder.source.book import Book
from builder.source.reader import parse
from builder.sync import cells
from d2lext.core.frameworks import IDS


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


def test_cut_and_paste_in_place_is_no_edit(small):
    def cut_and_paste(cells):
        cells[0] = new_markdown_cell(cells[0].source)

    small.edit("torch", cut_and_paste)
    assert small.sync() == []


def test_a_notebook_without_ids_is_refused(small):
    def forget(cells):
        for cell in cells:
            cell.id = "x" + cell.id
            cell.source += " "
        cells[1].source += "# new"

    small.edit("torch", forget)
    with pytest.raises(BookError, match="lost their ids"):
        small.sync()


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


def test_a_new_cell_behind_each_frameworks_own_is_one(small):
    for backend in IDS:

        def insert(cells):
            [place] = [n for n, cell in enumerate(cells) if "More" in cell.source]
            cells.insert(place + 2, new_code_cell("z = 1"))

        small.edit(backend, insert)
    edited = {backend: small.shown(backend) for backend in IDS}
    assert len(small.sync()) == 1
    assert "import tensorflow\n```\n\n```{code-cell}\nz = 1\n```\n\n+++" in small.text
    assert {backend: small.shown(backend) for backend in IDS} == edited


def test_new_cells_in_another_order_are_not_one(small):
    for backend, names in ("torch", "ab"), ("jax", "ba"), ("mxnet", "ac"):
        new = [new_code_cell(f"{name} = 1") for name in names]
        small.edit(backend, lambda cells, new=new: cells.extend(new))
    edited = {backend: small.shown(backend) for backend in IDS}
    assert len(small.sync()) == 4
    assert {backend: small.shown(backend) for backend in IDS} == edited


def test_a_new_cell_takes_the_place_of_another(small):
    def replace(cells):
        cells[-2:-1] = [new_code_cell("z = 1")]

    for backend in IDS:
        small.edit(backend, replace)
    old = "---\ntags: [train]\n---\ntotal = c + k\n\nprint(total)\n"
    text = small.text.replace(old, "z = 1\n")
    assert len(small.sync()) == 2
    assert small.text == text


def test_a_cell_may_become_equal_to_another(small):
    other = "c, k = 3, 10\nprint(c + 2 * k)"
    small.edit("torch", lambda cells: cells[1].update(source=other))
    text = small.text.replace("import torch  # the first one", other)
    assert len(small.sync()) == 1
    assert small.text == text


def test_cells_are_an_empty_line_apart():
    chapter = parse("# Title\n\n\n\n```{code-cell}\na = 1\n```\n", Path("01-a.md"))
    wanted = list(enumerate(chapter.lecture))
    assert cells.edited(chapter, wanted) == chapter.text
    text = cells.edited(chapter, [*wanted[::-1], (None, chapter.lecture[1])])
    code = "```{code-cell}\na = 1\n```\n"
    assert text == f"{code}\n# Title\n\n{code}"


def test_a_cell_of_comments_alone_is_in_no_notebook(small):
    small.reset(CHAPTER.replace("+++\n\nAll of", "+++\n\n% Ours.\n\n+++\n\nAll of"))
    check_unedited(editions(Book(small.root)))
    small.replace("All of", "Some of", "jax")
    assert len(small.sync()) == 1
    assert "+++\n\n% Ours.\n\n+++\n\nSome of" in small.text


@pytest.mark.parametrize(
    "options",
    ["", ":tags: [jax]\n", "---\ntags: [jax]\n---\n", "---\ntags: [jax]\n----\n"],
)
def test_an_empty_code_cell_is_named_at_its_end(small, options):
    cell = f"```{{code-cell}}\n{options}```\n"
    small.reset(CHAPTER.replace("More text", f"{cell}\nMore text"))
    small.replace("All of them go on", "All of them went on", "torch")
    end = small.text[: small.text.index("More text")].count("\n") - 1
    with pytest.raises(
        BookError, match=rf"01-blocks.md:{end}: the code cell .* is empty"
    ):
        small.sync()
    small.reset(
        CHAPTER.replace("More text", cell.replace("\n```\n", "\n\n```\n\nMore text"))
    )
    small.replace("All of them go on", "All of them went on", "torch")
    before = small.text
    assert len(small.sync()) == 1
    assert small.text == before.replace("All of them go on", "All of them went on")
