"""What authors write and code shows, in every form: titles, tables, formulas, numbers."""

import re
import shutil
import subprocess
import zipfile

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_output
from shared import agreement
from shared.parsed import parse, text_of

from builder.notebooks.edition import Edition, editions
from builder.publishing import epub, pdf, single, site, slides, tabs, xelatex

CHAPTER = r"""(chap-sums)=
# Sums

In {numref}`chap-sums`, {numref}`Part %s <chap-sums>` and {numref}`sec-small`.

::::{warning} Own *title*, by {eq}`eq-small`
Its text.

:::{tip}
Inside.
:::
::::

| a | $x_1$ |
|---|---|
| $\frac{1}{2}$ | {eq}`eq-small` |

:::{table} Of $y_1$
| $P(a \mid b)$ |
|---|
| $c_1$ |
:::

+++ {"tags": ["slide"]}

## Slide

See {numref}`chap-sums`.

:::{warning} Own *title*, by {eq}`eq-small`
Its text.
:::

| a | $x_1$ |
|---|---|
| $\frac{1}{2}$ | b |

+++

(sec-small)=
## Small

$$d_1$$ (eq-small)

```{code-cell}
---
tags: [slide]
---
show()
```
"""
TABLE = "| h | $t_1$ |\n|---|---|\n| u | v |"
MARKDOWN = f'## Shown\n\nIt\'s "as" -- typed. **Bold** $m_1$, $$n_1$$\n\n{TABLE}'
MATH = r"$\displaystyle p_1$"
LATEX = "Words_1, $q_1$ and\n\\begin{align}\nr_1 &= 2\n\\end{align}"
FORMULAS = ("m", "n", "t", "p", "q", "r")  # of outputs


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A book of that one chapter, its code executed."""
    root = tmp_path_factory.mktemp("book")
    book = agreement.write(root, {"01-sums": CHAPTER})
    edition = Edition(book, book.chapters[0], "torch")
    [code] = [cell for cell in edition.notebook.cells if cell.cell_type == "code"]
    for kind, text in (
        ("text/markdown", MARKDOWN),
        ("text/latex", MATH),
        ("text/latex", LATEX),
    ):
        data = {kind: text, "text/plain": "<IPython.core.display.Object object>"}
        code.outputs.append(new_output("display_data", data))
    edition.write()
    return book


def edition(book):
    return Edition(book, book.chapters[0], "torch")


@pytest.fixture(scope="module")
def page(book):
    """The chapter's page on the site."""
    pages = {"01-sums": tabs.merged([edition(book)])}
    out = book.root / "_build" / "site"
    site.build(book.root, out, pages)
    return parse(out / "01-sums.html")


@pytest.fixture(scope="module")
def reader(book):
    """The same in the EPUB."""
    out = book.root / "_build" / "epub" / "torch.epub"
    pages = {"01-sums": single.with_solutions(tabs.single(edition(book)))}
    epub.build(book.root, out, pages, "torch")
    with zipfile.ZipFile(out) as archive:
        text = archive.read("01-sums.xhtml").decode()
    return BeautifulSoup(re.sub(r"<\?xml.*?\?>", "", text), "html.parser")


@pytest.fixture(scope="module")
def deck(book):
    """The lecture's slides."""
    out = book.root / "_build" / "slides" / "torch"
    slides.build(list(editions(book, backends=["torch"])), out)
    return parse(out / "01-sums.html")


def formulas(element):
    """The formulas in it, as LaTeX."""
    shown = element.select("annotation") or element.select("math")
    return [(f.get("alttext") or f.get_text()).strip() for f in shown]


def test_a_chapter_is_no_section(page, reader, deck, book):
    for form in (page, reader):
        assert "In Chapter 1, Part 1 and Section 1.1." in text_of(form)
    assert "See Chapter 1." in text_of(deck)
    notebook = edition(book).notebook
    assert "In Chapter 1, Part 1 and Section 1.1." in notebook.cells[0].source


def test_a_remark_has_its_own_title(page, reader, deck, book):
    for form in (page, reader, deck):
        [remark] = form.select(".admonition.warning")
        title = remark.select_one(".admonition-title")
        assert text_of(title) == "Own title, by (1.1)"
        assert title.em.get_text() == "title"
        assert text_of(title.find_next("p")) == "Its text."
    assert text_of(page.select_one(".admonition.tip .admonition-title")) == "Tip"
    notebook = edition(book).notebook.cells[0].source
    assert "> __Own *title*, by (1.1)__\n>\n> Its text.\n>\n> > **Tip.**" in notebook


def test_tables_hold_formulas(page, reader, deck, book):
    for form in (page, reader, deck):
        cells = [formulas(cell) for cell in form.select("main table, table")]
        assert ["x_1", r"\frac{1}{2}"] in cells
        assert "$" not in "".join(text_of(table) for table in form.select("table"))
    for form in (page, reader):
        last = form.select("table")[1]
        assert formulas(last) == ["y_1", r"P(a \mid b)", "c_1"]
    notebook = edition(book).notebook.cells[0].source
    assert "| a | $x_1$ |" in notebook
    assert r"| $\frac{1}{2}$ | (1.1) |" in notebook


def test_outputs_hold_formulas(page, reader, deck):
    for form in (page, reader, deck):
        shown = formulas(form)
        for letter in FORMULAS:
            assert any(re.search(rf"\b{letter}_1", formula) for formula in shown)
        assert "Words_1," in text_of(form)
        assert form.select_one("strong", string="Bold")
        assert "Object" not in text_of(form)
        assert 'It\'s "as" -- typed.' in text_of(form)
        assert any(formulas(table) == ["t_1"] for table in form.select("table"))


@pytest.mark.slow
def test_print_shows_all_that(book):
    if any(shutil.which(name) is None for name in (*xelatex.PROGRAMS, "pdftotext")):
        pytest.skip("TeX or poppler-utils is not installed")
    out = book.root / "_build" / "pdf" / "torch.pdf"
    pages = {"01-sums": single.with_solutions(tabs.single(edition(book)))}
    pdf.build(book.root, out, pages, "torch")
    command = ["pdftotext", str(out), "-"]
    text = subprocess.run(command, capture_output=True, text=True).stdout
    words = " ".join(text.split())
    assert "In Chapter 1, Part 1 and Section 1.1." in words
    assert re.search(r"Own title, by \(1\.1\) Its text", words)
    assert "Words_1," in words
    assert not re.search(r"\$|\\|\?\?|Object", words)
    tex = (book.root / "_build" / "work" / "pdf-torch" / "tex" / "book.tex").read_text()
    assert "\\begin{sphinxadmonition}{warning}{Own \\sphinxstyleemphasis{title}" in tex
