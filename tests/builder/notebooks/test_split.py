"""A chapter split into notebooks: plain prose, each framework's cells, names that exist."""

import re

import pytest

from builder.errors import BookError
from builder.notebooks import markdown, split
from d2lext.core import frameworks
from d2lext.core.frameworks import IDS


def test_prose_is_plain_markdown(tiny):
    prose = tiny.notebook("torch").cells[0].source
    assert "# Tiny (Lin *et al.*, 2014)" in prose
    assert "![A box.](../../chapters/img/box.svg)" in prose
    assert "*Figure 1.1.* See (1.1)." in prose
    assert "$$a + b \\qquad (1.1)\n$$" in prose
    assert not re.search(r":::|\{(eq|ref|numref|cite:.)\}|\)=", prose)


PLAIN = {
    "prices": ("It costs $5 and $10.", r"It costs \$5 and \$10."),
    "prices in two dollars": ("$$5 or $$10", r"\$\$5 or \$\$10"),
    "formula first, digit last": ("$k$ of $3$, or 4", "$k$ of $3$, or 4"),
    "formula": ("Of $x$, and $$y$$.", "Of $x$, and $$y$$."),
    "dollars in code": ("Write `$$`, ``{eq}`x` ``.", "Write `$$`, ``{eq}`x` ``."),
    "escaped": (r"\{eq}`x` for \$5", r"\{eq}`x` for \$5"),
    "quote": (
        "> See {eq}`eq-sum`:\n>\n> $$\n> a\n> $$ (eq-sum)",
        "> See (1.1):\n>\n> $$\n> a \\qquad (1.1)\n> $$",
    ),
    "list": (
        "- a\n\n  :::{note}\n  b\n\n  c\n  :::\n- d",
        "- a\n\n  > **Note.**\n  >\n  > b\n  >\n  > c\n- d",
    ),
    "note": (":::{note}\nx\n:::", "> **Note.**\n>\n> x"),
    "title": (":::{note} Of $x$\ny\n:::", "> **Of $x$**\n>\n> y"),
    "title with marks": (":::{tip} *A* b\nx\n:::", "> __*A* b__\n>\n> x"),
    "fences": ("~~~\n$$x$$ (eq-sum)\n~~~", "~~~\n$$x$$ (eq-sum)\n~~~"),
    "indented": ("a\n\n    % {eq}`x`", "a\n\n    % {eq}`x`"),
    "comments": ("a\n\n% b\n\nc<!-- d -->\n% e\nf", "a\n\nc\n\nf"),
    "comment of HTML": ("a\n\n<!--\n## b\n-->\n\nc", "a\n\nc"),
    "attributes": ("{.x}\n[a]{.y} `b`{.z}", "a `b`"),
    "addresses": (
        "![a][1] and [b][2]\n\n[1]: img/box.svg\n[2]: https://a.org 'B'",
        '![a](../../chapters/img/box.svg) and [b](https://a.org "B")',
    ),
    "image": (
        "![a](img/box.svg){width=3em}",
        "![a](../../chapters/img/box.svg)",
    ),
    "own words": ("{numref}`Fig. %s <fig-box>`", "Fig. 1.1"),
    "table": ("| a \\| {eq}`eq-sum` |\n|---|", "| a \\| (1.1) |\n|---|"),
}


@pytest.mark.parametrize("case", PLAIN)
def test_plain(tiny, case):
    text, plain = PLAIN[case]
    book = tiny.book
    assert markdown.plain(text, book.chapters[0], book, "torch") == plain


def test_jupyterlab_numbers_headings_as_the_book_does(tiny):
    """Their numbers are in no text: it adds them to the first, and counts."""
    text = "(sec-b)=\n# B\n\nOf {numref}`sec-b`.\n"
    (tiny.root / "chapters" / "05-b.md").write_text(text)
    chapter = tiny.book.find("b")
    notebook = split.split(tiny.book, chapter, "jax")
    assert notebook.metadata.toc == {"base_numbering": 2, "number_sections": True}
    assert notebook.cells[0].source == "# B\n\nOf Chapter 2."


def test_slides_have_the_numbers_of_the_book(tiny):
    tiny.edit(
        "$$a + b$$ (eq-sum)",
        '$$a + b$$ (eq-sum)\n\n+++ {"tags": ["slide"]}\n\n'
        "$$ c $$ (eq-c)\n\nSee {eq}`eq-sum` of {cite:t}`lin2014network`, and {eq}`eq-c`.",
    )
    book = tiny.book
    [chapter] = book.chapters
    [slide] = [cell for cell in chapter.lecture if cell.is_for_lectures]
    shown = markdown.with_references(slide.prose, chapter, book, "torch")
    assert shown.endswith("See (1.1) of Lin *et al.* (2014), and {eq}`eq-c`.")


def test_each_framework_has_its_own_cells(tiny):
    sources = {
        b: [c.source for c in tiny.notebook(b).cells if c.cell_type == "code"]
        for b in IDS
    }
    assert sources["torch"][0] == "x = 1"
    assert sources["jax"][0] == "x = 2"
    assert len(sources["torch"]) == 4
    assert sources["mxnet"] == sources["jax"] == sources["tensorflow"]


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
