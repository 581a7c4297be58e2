"""The book on paper: its text, margins and fonts, and the errors of TeX."""

import re
import shutil
import subprocess

import pytest
from nbformat.v4 import new_output
from shared import sample_book
from shared.little_room import small_disk
from shared.selected import SELECTED

from builder.errors import BookError
from builder.notebooks.edition import editions
from builder.publishing import pdf, single, xelatex
from builder.source.book import Book
from d2lext.core.frameworks import TITLES

TOOLS = (*xelatex.PROGRAMS, "pdftotext", "pdffonts", "pdfimages")
tex = pytest.mark.skipif(
    any(shutil.which(name) is None for name in TOOLS),
    reason="TeX or poppler-utils is not installed",
)
LONG = "x = " + " + ".join(f"number_{i}" for i in range(30))
MARGIN = 30 / 25.4 * 72  # of paper.sty, in points
# What remains of an unresolved reference, role, directive or formula.
UNRESOLVED = re.compile(r"\?\?|\{[\w:]+\}`|:::|\$\$|\\(?:math|left|frac|ref)|\]\(")


def shell(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def text_of(path):
    """The words of all pages in reading order, without their line breaks."""
    return " ".join(shell("pdftotext", str(path), "-").split())


def assert_inside_margins(path):
    """No word on any page begins or ends outside the margins."""
    boxes = shell("pdftotext", "-bbox", str(path), "-")
    width = float(re.search(r'<page width="([\d.]+)"', boxes)[1])
    words = re.findall(r'xMin="([\d.]+)" yMin="\S+" xMax="([\d.]+)".*?>(.*)<', boxes)
    assert words
    for left, right, word in words:
        # Punctuation may hang out a little, and so may a bullet.
        assert float(left) > MARGIN - 4, word
        assert float(right) < width - MARGIN + 4, word


def assert_sound(path):
    """Every font is embedded, and no page shows what only authors should see."""
    for line in shell("pdffonts", str(path)).splitlines()[2:]:
        embedded, *_ = line.split()[-5:]
        assert embedded == "yes", line
    assert_inside_margins(path)
    assert UNRESOLVED.search(text_of(path)) is None


def small(root, text, cells=()):
    """A book of one short chapter: the arguments of `pdf.build` except the framework."""
    sample_book.write(root)
    path = root / "chapters" / "01-dense.md"
    path.write_text(text + "\n")
    page = sample_book.numbered([sample_book.prose(text), *cells])
    return root, root / "_build" / "pdf" / "torch.pdf", {"01-dense": page}


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The sample book for PyTorch, printed."""
    root = tmp_path_factory.mktemp("book")
    pages = sample_book.for_one(sample_book.write(root), "torch")
    long = new_output("stream", name="stdout", text=LONG)
    pages["02-network"].cells.insert(1, sample_book.code(LONG, outputs=[long]))
    figure = (
        ":::{figure} img/drawing.svg\n:alt: Boxes.\n\nAfter {cite:t}`He.ea.2016`.\n:::"
    )
    pages["02-network"].cells.insert(2, sample_book.prose(figure))
    for page in pages.values():
        single.with_solutions(page)
        sample_book.numbered(page.cells)
    out = root / "_build" / "pdf" / "torch.pdf"
    assert pdf.build(root, out, pages, "torch")
    return root, out, pages


@tex
@pytest.mark.slow
def test_pages_hold_the_book_of_one_framework(book):
    _, path, _ = book
    text = text_of(path)
    about = shell("pdfinfo", str(path))
    assert re.search(r"^Title: +A Small Book$", about, re.MULTILINE)
    assert re.search(r"^Author: +A. Author$", about, re.MULTILINE)
    for wanted in (
        "A Small Book",
        "PyTorch edition",
        "Contents 1 Dense Blocks",
        "Figure 1.1. Addition beside concatenation.",
        "as in (1.1) (He et al., 2016); Huang et al. (2017) concatenate instead, as "
        "Figure 1.1 shows",
        "By (2.1), all is well.",
        "Figure 2.1. After He et al. (2016).",
        "from d2lext import torch as d2l",
        "PyTorch runs",
        "(4, 23, 8, 8)",
        "148,608",
        "Solution Count",
        "assert count == 23",
        sample_book.REPOSITORY,
    ):
        assert wanted in text, wanted
    for other in ("jax", "mxnet", "tensorflow"):
        assert other not in text.lower()
    # Both chapters list the work; the book does so once, at its end.
    assert text.lower().count("deep residual learning") == 1
    assert "In [" not in text


@tex
@pytest.mark.slow
def test_fonts_are_embedded_and_text_is_inside_the_margins(book):
    assert_sound(book[1])


@tex
@pytest.mark.slow
def test_long_lines_of_code_and_output_are_whole(book):
    text = re.sub(r"\s|,→", "", text_of(book[1]))  # an arrow marks a continued line
    assert all(text.count(f"number_{i}+") == 2 for i in range(29))


@tex
@pytest.mark.slow
def test_drawings_and_plots_stay_vectors(book):
    images = shell("pdfimages", "-list", str(book[1])).splitlines()[2:]
    assert [line.split()[3:5] for line in images] == [["2", "2"]]  # the PNG alone


@tex
@pytest.mark.slow
def test_unchanged_book_is_not_printed_again_and_a_failed_one_stays(book):
    root, out, pages = book
    before = out.stat().st_mtime_ns
    assert not pdf.build(root, out, pages, "torch")
    assert out.stat().st_mtime_ns == before
    source = pages["02-network"].cells[0].source
    pages["02-network"].cells[0].source += "\n\nSee $\\mathbf{x$."
    with pytest.raises(BookError, match=r"chapters/02-network\.md"):
        pdf.build(root, out, pages, "torch")
    assert out.stat().st_mtime_ns == before
    pages["02-network"].cells[0].source = source
    out.unlink()
    assert pdf.build(root, out, pages, "torch")
    assert out.is_file()


@tex
@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        r"Then $c + \undefined$ channels.",
        "$$\nc + \\undefined k\n$$",
    ],
)
def test_error_of_latex_names_the_line_of_the_chapter(tmp_path, wrong):
    text = f"# Dense\n\nAll is well.\n\n{wrong}\n\nSo is this."
    line = text[: text.index("undefined")].count("\n") + 1
    with pytest.raises(BookError) as caught:
        pdf.build(*small(tmp_path, text), "torch")
    assert str(caught.value).startswith(f"chapters/01-dense.md:{line}: ")
    assert "Undefined control sequence" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "_build" / "pdf" / "torch.pdf").exists()


@tex
@pytest.mark.slow
def test_character_that_no_font_has_is_an_error(tmp_path):
    """It is told where it is, in the text or in an output."""
    letter = new_output("stream", name="stdout", text="\U00016800")  # of Bamum
    cells = [sample_book.code("print(letter)", outputs=[letter])]
    text = "# Dense\n\nA \U00010330.\n\n```{code-cell}\nprint(letter)\n```"
    arguments = small(tmp_path, text.partition("\n\n```")[0], cells)
    (tmp_path / "chapters" / "01-dense.md").write_text(text)
    with pytest.raises(BookError) as caught:
        pdf.build(*arguments, "torch")
    first, second, remedy = str(caught.value).splitlines()
    assert first.startswith("chapters/01-dense.md:3: ")
    assert "\U00010330 (U+10330)" in first
    assert second.startswith("chapters/01-dense.md:6: the output: ")
    assert "\U00016800 (U+16800)" in second
    assert "apt-get install" in remedy


@tex
@pytest.mark.slow
def test_letters_of_other_scripts_and_plain_signs_are_printed(tmp_path):
    wanted = ["αβγ Ω Привет", "α = β", "<<>>", "a << b >> c", "``x'' --no"]
    if "Droid" in shell("fc-list", ":lang=ja", "family"):
        wanted.append("中文日本")
    printed = "\n".join(wanted)
    text = "# Dense αβ\n\n" + "\n\n".join(f"{w} and ``` {w} ```" for w in wanted[:4])
    text += "\n\nWith $α ≤ β$."
    output = new_output("stream", name="stdout", text=printed)
    arguments = small(
        tmp_path, text, [sample_book.code(f"# {wanted[-1]}", outputs=[output])]
    )
    assert pdf.build(*arguments, "torch")
    found = re.sub(r"\s", "", text_of(arguments[1]))
    for part in wanted:
        assert found.count(re.sub(r"\s", "", part)) >= (
            3 if part in wanted[:4] else 1
        ), part


def test_missing_tex_names_the_packages(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BookError) as caught:
        pdf.build(*small(tmp_path, "# Dense"), "torch")
    message = str(caught.value)
    assert "latexmk, xelatex and rsvg-convert" in message
    assert "apt-get install" in message
    assert "texlive-xetex" in message


def test_missing_style_or_font_names_the_packages(tmp_path):
    for log in (
        "./paper.sty:3: LaTeX Error: File `titlesec.sty' not found.",
        '! Package fontspec Error: The font "texgyrepagella-regular" cannot be found.',
    ):
        message = xelatex._failure(log, tmp_path / "book.tex", tmp_path, tmp_path)
        assert re.match(r"TeX lacks (titlesec\.sty|texgyrepagella-regular): ", message)
        assert "texlive-latex-extra" in message


@tex
@pytest.mark.slow
@pytest.mark.parametrize("size", ["8k", "72k", "100k"])
def test_a_full_disk_is_told(tmp_path, size):
    """Without room for TeX's log, its pages, or the PDF."""
    pages = "Words.\\newpage\n" * 300
    text = f"\\documentclass{{article}}\n\\begin{{document}}\n{pages}\\end{{document}}"
    (tmp_path / "book.tex").write_text(text)
    (tmp_path / "work").mkdir()
    with (
        small_disk(tmp_path / "work", size),
        pytest.raises(BookError, match="No space"),
    ):
        xelatex.print_book(tmp_path, tmp_path / "work" / "run", tmp_path, {})


def test_solutions_get_a_title_or_are_left_out():
    def sources(wanted):
        notebook = sample_book.for_one({"": sample_book.notebook()}, "jax")[""]
        cells = single.with_solutions(notebook, wanted).cells
        assert len({cell.id for cell in cells}) == len(cells)
        return "\n".join(cell.source for cell in cells)

    assert sources(True).count("{rubric} Solution") == 1
    assert sources(True).index("Solution") < sources(True).index("Count $c")
    without = sources(False)
    assert "How many channels" in without
    assert not re.search("Solution|Count|count", without)


@tex
@pytest.mark.slow
@pytest.mark.parametrize("backend", SELECTED)
def test_the_book_itself(root, tmp_path, backend):
    pages = single.pages(editions(Book(root), backends=[backend]))
    out = tmp_path / "pdf" / f"{backend}.pdf"
    assert pdf.build(root, out, pages, backend)
    assert_sound(out)
    images = shell("pdfimages", "-list", str(out)).splitlines()[2:]
    # Each with a mask: garments and eight heat maps in chapter 1; their colour bar, five
    # rows of chapter 5 and three of chapter 6 have none.
    assert len(images) == 2 * (1 + 8) + 1 + 5 + 3
    text = text_of(out)
    assert f"{TITLES[backend]} edition" in text
    assert f"from d2lext import {backend} as d2l" in text
    assert "Figure 1.2. Dense connections" in text
    assert text.count("Solution ") >= 4
