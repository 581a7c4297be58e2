"""Mistakes of LaTeX, found without writing a form of the book."""

import subprocess
from argparse import Namespace

import pytest
from shared import agreement

from builder.command import check, formulas
from builder.command.verbs import authoring
from builder.errors import BookError
from builder.sphinxext import katex

CHAPTER = r"""# Sums

All $x^2 + \mathbb{R}$ is well, $$\begin{aligned} a &= b \end{aligned}$$ too.
Of $\undefined$ it is not.

- A list

  $$
  \begin{aligned}
  a &= \frac{1}{2
  \end{aligned}
  $$

:::{note} Titled $x^$
With $$\begin{aligned} a \end{matrix}$$.
:::

| $\text{a}$ |
|---|
| $}$ |

+++ {"tags": ["slide"]}

## Slide

$$
a

% no
$$ (eq-a)
""".replace("a\n\n%", "a\n%")
LINES = {4: r"\undefined", 11: "expected '}'", 14: "", 15: "Mismatch", 20: "'}'"}


@pytest.fixture
def book(tmp_path):
    return agreement.write(tmp_path, {"01-sums": CHAPTER})


def test_mistakes_are_found_at_their_lines(book):
    problems = formulas.problems(book.chapters)
    places = [problem.split(": ", 1) for problem in problems]
    assert [place for place, _ in places] == [f"chapters/01-sums.md:{n}" for n in LINES]
    for (_, message), part in zip(places, LINES.values(), strict=True):
        assert message.startswith("KaTeX parse error: ")
        assert part in message
        assert message.endswith("https://katex.org/docs/supported.html lists")


def test_check_and_notebooks_find_them(book, monkeypatch):
    monkeypatch.setattr(check, "_findings", lambda root: [])
    monkeypatch.setattr(check, "_exports", lambda book, backends: [])
    found = [p for p in check.problems(book.root) if "KaTeX" in p]
    assert len(found) == len(LINES)
    with pytest.raises(BookError, match=r"01-sums\.md:4: .*\n.*01-sums\.md:11: "):
        authoring.notebooks(Namespace(backend=None, chapter=[]), book.root)
    assert not (book.root / "notebooks").exists()


def test_one_process_reads_them_all(book, monkeypatch):
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *a, **k: (started.append(a), popen(*a, **k))[1]
    )
    formulas.problems(book.chapters)
    assert len(started) == 1
    (agreement.write(book.root, {"01-a": "# A\n"}), started.clear())
    assert formulas.problems([]) == []
    assert not started


@pytest.mark.parametrize("lacking", ["node", "KaTeX", "a Node that starts"])
def test_without_node_there_is_a_note(book, monkeypatch, capsys, tmp_path, lacking):
    if lacking == "KaTeX":
        monkeypatch.setattr(katex, "VERSION", "0.0.0")
    else:
        monkeypatch.setattr(katex.shutil, "which", lambda name: None)
    if lacking == "node":
        monkeypatch.setattr(katex, "find_spec", lambda name: None)
    if lacking == "a Node that starts":
        monkeypatch.setattr(katex, "_node_command", lambda: str(tmp_path / "node"))
    assert formulas.problems(book.chapters) == []
    shown = capsys.readouterr().out
    assert shown.startswith("formulas are not checked: ")
    assert "run `python build.py setup`" in shown
    assert shown.count("\n") == 1
