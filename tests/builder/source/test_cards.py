"""A chapter's card: what its author may write, and mistakes with their lines."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder.errors import BookError
from builder.source import cards, reader
from builder.source.book import Book

FRONT = """\
---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
card:
  needs: chapter 1, *or* [residual networks](https://d2l.ai)
  question: "Why: for $k = 12$?"
  time: an hour
    to read
---

# Sums
"""


def read(text):
    return reader.parse(text, Path("chapters/01-sums.md"))


def test_a_card_has_its_texts_in_order_and_where_they_are():
    assert list(read(FRONT).card.items()) == [
        ("question", ("Why: for $k = 12$?", 8)),
        ("time", ("an hour to read", 9)),
        ("needs", ("chapter 1, *or* [residual networks](https://d2l.ai)", 7)),
    ]
    assert read("# Sums\n").card == {}
    assert read("---\nkernelspec: {name: a, display_name: b}\n---\n# Sums").card == {}


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("  needs", "  need", 7, "unknown setting 'need' of a card: choose from quest"),
        ("  needs: chapter 1", "  8: x", 7, "unknown setting '8' of a card"),
        ('"Why: for $k = 12$?"', "8", 8, "question must be a text, got 8: write the"),
        ('"Why: for $k = 12$?"', "", 8, "question must be a text, got None"),
        ('"Why: for $k = 12$?"', "yes", 8, "question must be a text, got True"),
        ('"Why: for $k = 12$?"', "[a]", 8, "question must be a text, got ['a']"),
        ('"Why', "Why", 8, "the front matter is not valid YAML (mapping values"),
        ("Why", "{ref}`x`", 8, "question cannot show '{ref}`x`' on the front page"),
        ("Why", "![x](img/a.svg)", 8, "question cannot show '![x](img/a.svg)'"),
        ("Why", "<br>", 8, "question cannot show '<br>'"),
        ("https://d2l.ai", "02-b.md", 7, "needs cannot show '[residual networks](02"),
        (
            '"Why: for $k = 12$?"',
            r"'$\begin{align}$'",
            8,
            r"print shows no \begin{align",
        ),
        ("k = 12", r"\beta", 8, r"question must be a text, got 'Why: for $\x08eta$?'"),
    ],
)
def test_a_mistake_is_told_at_its_line(old, new, line, message):
    assert old in FRONT
    with pytest.raises(BookError) as error:
        read(FRONT.replace(old, new, 1))
    assert str(error.value).startswith(f"chapters/01-sums.md:{line}: {message}")


@pytest.mark.parametrize("value", ["Why?", "[question, time]", "8"])
def test_a_card_that_is_no_list_of_settings(value):
    with pytest.raises(BookError, match=r"md:3: card must hold settings, got .* below"):
        read(f"---\nauthor: A\ncard: {value}\n---\n# Sums\n")


def test_a_chapter_saved_in_jupyterlab_keeps_its_card(tmp_path, root):
    pytest.importorskip("jupytext", reason="jupytext is not installed")
    shutil.copy(root / "pyproject.toml", tmp_path)
    path = tmp_path / "chapters" / "01-sums.md"
    path.parent.mkdir()
    path.write_text(FRONT)
    command = [sys.executable, "-m", "jupytext", "--pipe", "cat", str(path)]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    assert "jupytext_version" in path.read_text()  # it was written
    again = read(path.read_text()).card
    before = read(FRONT).card
    assert {name: again[name][0] for name in again} == {
        name: before[name][0] for name in before
    }


def test_the_books_chapters_have_whole_cards(root):
    for chapter in Book(root).chapters:
        assert list(chapter.card) == list(cards.FIELDS), chapter.stem
