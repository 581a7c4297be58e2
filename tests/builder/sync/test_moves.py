"""A cell that moved in a notebook moves in the chapter, or its place there is named."""

import json
import re

import pytest
from nbformat.v4 import new_code_cell
from shared.blocks_book import ALL, CHAPTER, JAX, SUM, TORCH, TWO, moved

from builder.errors import BookError
from d2lext.core.frameworks import IDS


@pytest.mark.parametrize(
    ("backends", "edit", "cells", "before"),
    [
        # Past cells for all; its options come along.
        (["jax"], ("jax_alone", "c, k"), [JAX], "(sec-count)="),
        (["torch"], ("c, k", "total ="), [SUM], '+++ {"tags": ["slide"]}'),
        (IDS, ("c, k", "total ="), [SUM], '+++ {"tags": ["slide"]}'),
        (IDS, ("c, k", "More text"), [SUM], TORCH),
        # In one notebook a cell for all moves for all.
        (["torch"], ("All of them", "More text"), [ALL], TORCH),
        # Of two that change places it is the framework's own.
        (["torch"], ("More text", "import torch"), [TORCH], "(chap-blocks)="),
        (
            ["torch"],
            ("import torch", "PyTorch has"),
            [TORCH],
            '+++ {"tags": ["mxnet", "jax',
        ),
        (["mxnet"], ("Two of", "All of"), [TWO], "```{code-cell}\n---\nexpect"),
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


def test_a_cell_moves_and_others_change(small):
    small.edit("tensorflow", moved("## Counting", "total ="))
    small.replace("## Counting", "## To Count", "mxnet")
    small.edit("jax", lambda cells: cells.insert(2, new_code_cell("z = 1")))
    assert len(small.sync()) == 2
    assert "tags: [jax]\n---\nz = 1\n```\n" in small.text
    assert "print(total)\n```\n\n(sec-count)=\n## To Count\n\n+++" in small.text


def between(*cells):
    """The chapter with more text cells after one for all, each for some frameworks."""
    text = "".join(
        f'+++ {{"tags": {json.dumps(tags)}}}\n\nOf {name}.\n\n' for name, *tags in cells
    )
    return CHAPTER.replace(ALL, ALL + text)


def test_of_two_that_changed_places_the_one_for_fewer_moved(small):
    small.reset(between(("a", "torch"), ("b", "jax")))
    small.edit("torch", moved("Of a", "c, k"))
    before, edited = small.shown("jax"), small.shown("torch")
    small.sync()
    small.split()
    assert small.shown("torch") == edited
    assert small.shown("jax") == before


def test_two_that_changed_places_for_as_many_frameworks(small):
    """Either could have moved, and readers of MXNet would see which."""
    text = between(("a", "torch", "mxnet"), ("b", "mxnet"), ("c", "torch", "jax"))
    small.reset(text)
    small.edit("torch", moved("Of a", "Of c"))
    with pytest.raises(BookError, match="in another place"):
        small.sync()
    assert small.text == text


def place_of(text, chapter=CHAPTER):
    return chapter[: chapter.index(text)].count("\n") + 1


@pytest.mark.parametrize(
    ("edits", "line", "behind"),
    [
        # Before or behind the code of other frameworks?
        ({"mxnet": [("c, k", "More text")]}, "c, k", "after the one on line 6"),
        ({"jax": [("c, k", "jax_alone")]}, "c, k", "after the one on line 44"),
        # Here or there?
        (
            {"torch": [("c, k", "total =")], "jax": [("c, k", None)]},
            "c, k",
            "to the top",
        ),
        # More than one.
        (
            {"torch": [("c, k", "total ="), ("More text", "import torch")]},
            "import torch",
            "to the top",
        ),
    ],
)
def test_a_move_that_is_not_certain_is_named_with_its_place(small, edits, line, behind):
    before = small.text
    for backend, moves in edits.items():
        for move in moves:
            small.edit(backend, moved(*move))
    with pytest.raises(BookError) as error:
        small.sync()
    [backend, *_] = reversed(edits)
    where = (
        rf"chapters/01-blocks.md:{place_of(line)}: notebooks/{backend}/01-blocks.ipynb"
    )
    expected = rf"{where} has this cell in another place.* move it {behind}"
    assert re.search(expected, str(error.value))
    assert small.text == before


def test_a_move_that_was_made_by_hand_is_no_edit(small):
    """As the message asks for; what else is edited comes back."""
    small.edit("mxnet", moved("c, k", "More text"))
    small.replace("share a paragraph", "share it", "mxnet")
    with pytest.raises(BookError, match="in another place"):
        small.sync()
    text = small.text.replace(SUM, "").replace(TORCH, SUM + TORCH)
    small.chapter.write_text(text.replace("go on.\n\n(", "go on.\n\n+++\n\n("))
    assert len(small.sync()) == 1
    assert small.sync() == []
    assert "share it" in small.text


@pytest.mark.parametrize("old", ["c, k = 3, 10", "All of them"])
def test_what_moved_here_and_changed_there(small, old):
    """In either of the two."""
    cell = {"c, k = 3, 10": SUM, "All of them": ALL}[old]
    small.edit("jax", moved(old, "total ="))
    text = small.text.replace(old, "New")
    small.chapter.write_text(text)
    line = place_of("New", text)
    with pytest.raises(BookError, match=f"01-blocks.md:{line}: .*another place"):
        small.sync()
    small.reset()
    text = small.text.replace(cell, "").replace("(chap-blocks)", f"{cell}(chap-blocks)")
    small.chapter.write_text(text)
    small.replace(old, "New", "jax")
    with pytest.raises(BookError, match="changed here and in notebooks/jax"):
        small.sync()
    assert small.text == text


def test_a_cell_moved_here_and_there(small):
    text = small.text.replace(SUM, "").replace("(chap-blocks)=", f"{SUM}(chap-blocks)=")
    small.chapter.write_text(text)
    small.edit("jax", moved("c, k", "total ="))
    with pytest.raises(
        BookError, match=r"01-blocks.md:\d+: .*another place.* line \d+,"
    ):
        small.sync()
    assert small.text == text
    # Moved to the same place in both, it is no edit; and what else was is carried.
    small.edit("jax", moved("c, k", None))
    small.edit("jax", lambda cells: cells.append(new_code_cell("z = 1")))
    assert len(small.sync()) == 1
    assert small.text == text + "\n```{code-cell}\n---\ntags: [jax]\n---\nz = 1\n```\n"
