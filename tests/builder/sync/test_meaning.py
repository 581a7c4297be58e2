"""Edits whose notebook looks right however the chapter came to mean something else."""

import nbformat
import pytest
from shared.blocks_book import CHAPTER, Small, moved

from builder.errors import BookError
from builder.notebooks import store
from builder.source.book import Book

TABLE = ":::{table} Sizes\n:name: tab-sizes\n\n| a | b |\n|---|---|\n| 1 | 2 |\n:::\n"


def titles(small):
    """The title of each section by its label."""
    labels = Book(small.root).labels
    return {name: label.title for name, label in labels.items() if label.title}


def test_a_label_stays_at_its_heading(small):
    before = titles(small)
    small.replace("## Counting", "## Notation\n\nBold is bold.\n\n## Counting", "jax")
    small.sync()
    assert "\n## Notation\n\nBold is bold.\n\n(sec-count)=\n## Counting\n" in small.text
    assert titles(small) == before


def test_labels_stay_at_sections_that_change_places(tmp_path):
    parts = ["(sec-a)=\n## A\n\nAlpha.\n", "(sec-b)=\n## B\n\nBeta.\n"]
    small = Small(tmp_path)
    small.reset(CHAPTER.replace("## Counting\n", "## Counting\n\n" + "\n".join(parts)))
    shown = ["## A\n\nAlpha.", "## B\n\nBeta."]
    small.replace("\n\n".join(shown), "\n\n".join(shown[::-1]), "torch")
    small.sync()
    assert "\n".join(parts[::-1]) in small.text


def test_a_paragraph_above_a_heading_leaves_its_label(small):
    small.replace("## Counting", "Before it.\n\n## Counting", "torch")
    small.sync()
    assert "Before it.\n\n(sec-count)=\n## Counting\n" in small.text


def test_what_is_added_at_the_end_of_a_caption_is_in_it(small):
    small.replace("by (1.1).", "by (1.1).\nA second line.", "torch")
    small.sync()
    assert "by {eq}`eq-sum`.\nA second line.\n:::\n" in small.text


def test_what_is_added_at_the_end_of_a_table_is_in_it(tmp_path):
    small = Small(tmp_path)
    small.reset(CHAPTER.replace("More text", f"{TABLE}\nMore text"))
    small.replace("| 1 | 2 |", "| 1 | 2 |\n| 3 | 4 |", "torch")
    small.sync()
    assert "| 1 | 2 |\n| 3 | 4 |\n:::\n" in small.text


def test_an_edit_is_not_lost_if_the_chapter_says_the_same_elsewhere(small):
    text = small.text.replace("c, k = 3, 10\nprint(c + 2 * k)", "x = 2")
    small.chapter.write_text(text)
    small.replace("total = c + k\n\nprint(total)", "x = 2", "jax")
    small.sync()
    assert small.text == text.replace("total = c + k\n\nprint(total)", "x = 2")


def test_a_new_cell_is_not_lost_if_the_chapter_has_the_same_elsewhere(small):
    cell = "```{code-cell}\n---\ntags: [jax]\n---\nz = 1\n```\n\n"
    text = small.text.replace("```{code-cell}\n:", f"{cell}```{{code-cell}}\n:", 1)
    small.chapter.write_text(text)
    small.edit("jax", lambda cells: cells.append(nbformat.v4.new_code_cell("z = 1")))
    small.sync()
    assert small.text.count("\nz = 1\n") == 2


def test_a_cell_that_was_split_stays_with_its_frameworks(small):
    def split(cells):
        [i] = [i for i, cell in enumerate(cells) if "print(total)" in cell.source]
        cells[i].source = "total = c + k"
        cells.insert(i + 1, nbformat.v4.new_code_cell("print(total)"))

    small.edit("jax", split)
    small.sync()
    small.split()
    for backend in ("torch", "mxnet", "jax", "tensorflow"):
        code = [source for kind, source in small.shown(backend) if kind == "code"]
        assert code[-2:] == ["total = c + k", "print(total)"]


def test_a_reference_is_not_frozen_in_another_cell(small):
    def cut(cells):
        [first] = [cell for cell in cells if "Read Figure 1.1" in cell.source]
        first.source = first.source.replace("Read Figure 1.1 beside it.", "")
        cells.append(nbformat.v4.new_markdown_cell("Read Figure 1.1 beside it."))

    before = small.text
    small.edit("torch", cut)
    with pytest.raises(BookError, match=r"generated from \{numref\}`fig-box`.* write"):
        small.sync()
    assert small.text == before


def test_deleted_in_one_notebook_and_moved_in_another(small):
    def delete(cells):
        cells[:] = [cell for cell in cells if "print(total)" not in cell.source]

    before = small.text
    small.edit("torch", delete)
    small.edit("jax", moved("print(total)", "More text"))
    with pytest.raises(BookError, match="moved in notebooks/jax/.* and deleted in"):
        small.sync()
    assert small.text == before


def test_frameworks_that_changed_in_the_chapter(small):
    text = small.text.replace("tags: [jax, export]", "tags: [torch, export]")
    small.chapter.write_text(text)
    small.replace("return 2 * x", "return 3 * x", "jax")
    with pytest.raises(BookError, match=r"blocks\.md:\d+: this cell is for other fram"):
        small.sync()
    assert small.text == text


@pytest.mark.parametrize("damage", [{"cells": []}, {"chapter": 3, "cells": []}, 7])
def test_a_damaged_origin_is_an_error(small, damage):
    small.replace("print(total)", "print(total, k)", "jax")
    notebook = small.read("jax")
    notebook.metadata[store.KEY][store.SPLIT_FROM] = damage
    nbformat.write(notebook, small.path("jax"))
    with pytest.raises(BookError, match="does not say what it was split from"):
        small.sync()


def test_line_ends_of_windows_within_a_cell(small):
    small.replace("print(total)", "print(total, k)", "jax")
    small.edit(
        "jax",
        lambda cells: [
            cell.update(source=cell.source.replace("\n", "\r\n")) for cell in cells
        ],
    )
    small.sync()
    assert small.text == CHAPTER.replace("print(total)", "print(total, k)")
