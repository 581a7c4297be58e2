"""Slides: what only lectures show, what fits, and how it looks on screen and on paper."""

import re
from urllib.parse import urlsplit

import nbformat
import pytest
from shared import ROOT, small_book
from shared.parsed import parse

from builder.errors import BookError
from builder.notebooks.edition import Edition, editions
from builder.publishing import slides, tabs
from builder.source.book import Book
from d2lext.core.frameworks import IDS, TITLES

CHAPTER = """\
(chap-sums)=
# Sums of *two*

A long paragraph for those who read.

$$
c = d
$$ (eq-Same)

+++ {"tags": ["slide"]}

## A sum is short

![A sum.](img/sum.svg)

$$a + b = b + a$$

+++ {"tags": ["notes"]}

Ask who said so.

+++ {"tags": ["slide"]}

See {eq}`eq-Same`, {numref}`chap-sums`, {numref}`Part %s <chap-sums>`, {ref}`chap-sums`.

:::{note}
{cite:t}`Euler` proved it {cite:p}`Euler`.
:::

+++

Another paragraph.

+++ {"tags": ["slide", "jax"]}

## Only in JAX

```{code-cell}
---
tags: [slide]
lines: 2-3
---
def total(numbers):
    result = sum(numbers)
    return result
```

```{code-cell}
---
tags: [torch, slide]
expect: "3"
---
total([1, 2])
```
"""


def write(root, text=CHAPTER):
    """A book of one chapter, recorded for PyTorch."""
    (root / "chapters").mkdir(exist_ok=True)
    (root / "chapters" / "references.bib").write_text(
        "@book{Euler, author={Euler, Leonhard}, title={Algebra}, year=1770, publisher={A}}"
    )
    book = small_book.write(root, text)
    (root / "chapters" / "index.md").write_text(
        "# Sums\n\n```{toctree}\n:glob:\n\n[0-9]*\n```\n"
    )
    (root / "chapters" / "book.toml").write_text(
        'title = "A Small Book"\nauthor = "A. Author"\nyear = 2026\n'
        '[redirects]\n"02-sums" = "01-sums"\n'
    )
    edition = Edition(book, book.chapters[0], "torch")
    for cell in edition.notebook.cells:
        if cell.source == "total([1, 2])":
            result = {"text/plain": "3"}
            cell.outputs = [
                nbformat.v4.new_output("execute_result", result, execution_count=1)
            ]
    edition.write()
    return book


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    """The folder of the small book's decks for PyTorch."""
    root = tmp_path_factory.mktemp("book")
    own = list(editions(write(root), backends=["torch"]))
    return slides.build(own, root / "_build" / "slides" / "torch").parent


@pytest.fixture(scope="module")
def page(decks):
    return parse(decks / "01-sums.html")


def test_the_former_address_of_a_deck_leads_to_it(decks):
    moved = parse(decks / "02-sums.html")
    assert moved.a["href"] == "01-sums.html"
    assert moved.script.string.startswith('location.replace("01-sums.html" + ')


def sources(cells):
    return "\n".join(cell.source for cell in cells)


def test_a_heading_starts_a_slide_and_each_framework_has_its_own(page, tmp_path):
    shown = [heading.get_text() for heading in page.select("section h1, section h2")]
    assert shown == ["Sums of two", "A sum is short"]
    book = write(tmp_path)
    for backend in IDS:
        text = sources(slides.deck(Edition(book, book.chapters[0], backend)).cells)
        assert TITLES[backend] in text
        assert ("Only in JAX" in text) is (backend == "jax")
        assert ("total([1, 2])" in text) is (backend == "torch")


def test_slides_show_tagged_cells_with_their_outputs(page):
    text = page.select_one(".slides").get_text()
    assert "paragraph" not in text
    assert "def total" not in text
    code = [pre.get_text().strip() for pre in page.select("pre")]
    assert code == ["result = sum(numbers)\nreturn result", "total([1, 2])", "3"]


def test_formulas_are_rendered_and_notes_are_notes(page):
    assert page.select_one(".math .katex")
    assert page.select_one("aside.notes").get_text().strip() == "Ask who said so."


def test_references_to_what_is_on_no_slide_are_numbers_and_titles(page):
    assert "See (1.1), Chapter 1, Part 1, Sums of two." in page.get_text()
    assert "Euler (1770) proved it (Euler, 1770)." in page.get_text()


def test_an_unknown_citation_on_a_slide_is_an_error_at_its_line(tmp_path):
    with pytest.raises(BookError, match=r"01-sums\.md:\d+: unknown citation 'Gauss'"):
        write(tmp_path, CHAPTER.replace("{cite:t}`Euler`", "{cite:t}`Gauss`"))


def test_other_forms_have_no_text_of_slides(tmp_path):
    book = write(tmp_path)
    own = list(editions(book))
    pages = [tabs.merged(own), *(edition.notebook for edition in own)]
    pages += map(tabs.single, own)
    for page in pages:
        text = sources(page.cells)
        assert "Another paragraph." in text
        assert "def total" in text
        for only_there in ("A sum is short", "a + b", "Ask who", "Only in JAX"):
            assert only_there not in text


def test_nothing_comes_from_another_host(decks):
    for path in decks.glob("*.html"):
        page = parse(path)
        for element in page.select("[src], link[href]"):
            address = urlsplit(element.get("src") or element.get("href"))
            assert not address.netloc
            assert (path.parent / address.path).is_file()
        for link in page.select("link[rel=stylesheet]"):
            path = decks / urlsplit(link["href"]).path
            assert not re.search(r"(url\(|@import)\s*[\"']?https?:", path.read_text())


def test_code_that_does_not_fit_is_refused(tmp_path):
    line = CHAPTER.splitlines().index("total([1, 2])") + 1
    long = "numbers = [\n" + "    1,\n" * 20 + "]\n"
    book = write(tmp_path, CHAPTER.replace("total([1, 2])\n", long))
    with pytest.raises(
        BookError, match=rf"01-sums.md:{line}: a slide has room for 18 lines"
    ):
        slides.deck(Edition(book, book.chapters[0], "torch"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("2-4", "the cell has no lines 2-4"),
        ("3-2", "the cell has no lines 3-2"),
        ("2", "lines must be a range such as 3-9, or none, got '2'"),
    ],
)
def test_lines_that_a_cell_lacks_are_refused(tmp_path, lines, message):
    text = CHAPTER.replace("lines: 2-3", f'lines: "{lines}"')
    with pytest.raises(BookError, match=rf"01-sums.md:\d+: .*{message}"):
        write(tmp_path, text)


def test_an_output_is_revealed_or_not(tmp_path):
    text = CHAPTER.replace("lines: 2-3", "reveal: later")
    with pytest.raises(BookError, match=r"reveal must be true or false, got 'later'"):
        write(tmp_path, text)


def test_what_does_not_fit_is_refused_by_slide_not_by_cell(tmp_path):
    cell = "```{code-cell}\n---\ntags: [slide]\n---\n" + "x = 1\n" * 10 + "```\n"
    heading = '+++ {"tags": ["slide"]}\n\n## Next\n\n'
    for between, lines in ((heading, 10), ("", 20)):
        book = write(tmp_path, f"# Sums\n\n{heading}{cell}\n{between}{cell}")
        edition = Edition(book, book.chapters[0], "torch")
        if lines <= slides.ROOM:
            assert len(slides.deck(edition).cells) == 5
        else:
            with pytest.raises(
                BookError, match=f"code and output of this one take {lines}"
            ):
                slides.deck(edition)


def test_a_book_without_slides_says_how_to_tag_them(tmp_path):
    book = write(tmp_path, "# Sums\n\n```{code-cell}\n1\n```\n")
    with pytest.raises(
        BookError, match="no chapter has slides: tag cells with `slide`"
    ):
        slides.build([Edition(book, book.chapters[0], "torch")], tmp_path / "slides")


def test_the_deck_of_the_first_chapter_covers_the_lecture():
    book = Book(ROOT)
    for backend in IDS:
        text = sources(slides.deck(Edition(book, book.find("densenet"), backend)).cells)
        ordered = (
            "concatenates",
            "class ConvBlock",
            "class DenseBlock",
            "DenseBlock(2, 10)",
            "class TransitionBlock",
            "growth_rate",
            "num_params(model)",
            "trainer.fit(model, data)",
            "What to remember",
        )
        places = [text.index(part) for part in ordered if part != "growth_rate"]
        assert places == sorted(places)


def without_notes(deck):
    """The titles of a deck's slides that have no notes."""
    titles, missing = [], set()
    for cell in deck.cells:
        if match := re.match(r"##? (.+)", cell.source):
            titles.append(match[1])
            missing.add(match[1])
        elif cell.source.startswith("::::::{revealjs-notes}"):
            missing.discard(titles[-1])
    assert len(set(titles)) == len(titles)
    return missing


@pytest.mark.parametrize("backend", IDS)
def test_every_slide_of_the_book_has_notes(backend, tmp_path):
    book = Book(ROOT)
    own = editions(book, filter(has_slides, book.chapters), [backend])
    decks = list(map(slides.deck, own))
    assert decks
    assert [without_notes(deck) for deck in decks] == [set()] * len(decks)
    small = write(tmp_path)
    deck = slides.deck(Edition(small, small.chapters[0], "jax"))
    assert without_notes(deck) == {"Sums of *two*", "Only in JAX"}


def has_slides(chapter):
    return any("slide" in cell.tags for cell in chapter.lecture)


@pytest.mark.slow
@pytest.mark.parametrize("backend", IDS)
def test_every_slide_fits_on_screen_and_on_its_own_sheet(tmp_path, backend, browser):
    book = Book(ROOT)
    own = list(editions(book, filter(has_slides, book.chapters), [backend]))
    first = slides.build(own, tmp_path / "slides" / backend)
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    asked = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).scheme))
    cut_off = []
    for edition in own:
        address = first.with_name(f"{edition.chapter.stem}.html").as_uri()
        cut_off += cut(page, address, places(edition))
    assert not cut_off, "\n".join(cut_off)
    assert set(asked) <= {"file", "data"}
    page.close()


def places(edition):
    """Where each slide of an edition's deck begins, with its title."""
    ids = [
        int(cell.id.partition("-")[2])
        for cell in slides.deck(edition).cells
        if re.match("## ", cell.source)
    ]
    cells = [edition.chapter.lecture[i] for i in ids]
    path = edition.chapter.path
    return [str(path), *(f"{path}:{c.line}: {c.source.splitlines()[0]}" for c in cells)]


def cut(page, address, places):
    """What is cut off on screen or paper, of a deck whose slides begin at `places`."""
    found = []
    page.goto(address)
    page.wait_for_function("Reveal.isReady()")
    assert page.evaluate("Reveal.getTotalSlides()") == len(places)
    for place in places:
        right, bottom, cut = page.evaluate(MEASURE)
        if right > 1280 - 40 or bottom > 720 - 20 or cut:
            found.append(f"{place} ends at {right:.0f}, {bottom:.0f}; {cut} cells cut")
        # To the next slide, not the next step of a drawing.
        page.evaluate("Reveal.right({ skipFragments: true })")
    assert page.evaluate("Reveal.isLastSlide()")
    page.goto(address + "?print-pdf")
    page.wait_for_function("document.querySelectorAll('.pdf-page').length > 1")
    sheets = page.query_selector_all(".pdf-page")
    for place, sheet in zip(places, sheets, strict=True):
        assert len(sheet.query_selector_all("section section, section")) == 1
        if sheet.evaluate(OVERFLOW) > 0:
            found.append(f"{place} is cut off on paper")
    pdf = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == len(places)
    return found


DRAWN = """\
# Plots

+++ {"tags": ["slide"]}

## A plot alone

```{code-cell}
---
tags: [slide]
alt: A square.
lines: none
reveal: true
---
draw()
```

+++ {"tags": ["slide"]}

## A plot below its code, beside text

```{code-cell}
---
tags: [slide]
alt: A square.
---
import drawing
drawing.draw(
    size=1,
    verbose=True,
)
```
"""
SQUARE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="360pt" height="346pt" viewBox="0 0 50 48">
<rect width="50" height="48"/></svg>"""


@pytest.mark.slow
def test_plots_take_what_room_is_left_and_outputs_come_with_a_key(tmp_path, browser):
    write(tmp_path, DRAWN)
    book = Book(tmp_path)
    edition = Edition(book, book.chapters[0], "torch")
    plot = nbformat.v4.new_output("display_data", {"image/svg+xml": SQUARE})
    printed = nbformat.v4.new_output("stream", text=f"{'epoch 1, ' * 12}\n" * 5)
    alone, beside = (
        cell for cell in edition.notebook.cells if cell.cell_type == "code"
    )
    alone.outputs, beside.outputs = [plot], [printed, plot]
    first = slides.build([edition], tmp_path / "_build" / "slides" / "torch")
    address = first.with_name("01-sums.html").as_uri()
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    assert cut(page, address, places(edition)) == []
    assert all(e.is_visible() for e in page.query_selector_all(".fragment"))
    page.goto(address + "#/1")
    page.wait_for_function("Reveal.isReady()")
    output = page.query_selector(".present .present .fragment img")
    assert page.query_selector(".present .present pre") is None
    assert not output.is_visible()
    page.keyboard.press("ArrowRight")
    output.wait_for_element_state("visible")
    assert output.bounding_box()["height"] > 550
    page.keyboard.press("ArrowRight")
    box = page.query_selector(".present .present img").bounding_box()
    text = page.query_selector(".present .present .output pre").bounding_box()
    assert 330 < box["height"] < 450
    assert text["x"] + text["width"] <= box["x"]
    page.close()


MEASURE = """() => {
  const boxes = [], own = Reveal.getCurrentSlide().querySelectorAll("*");
  let cut = 0;
  for (const element of own) {
    if (element.closest("aside, .katex")) continue;
    boxes.push(element.getBoundingClientRect());
    if (element.matches("pre") && element.scrollWidth > element.clientWidth + 1) cut += 1;
  }
  const largest = (side) => Math.max(...boxes.map((box) => box[side]));
  return [largest("right"), largest("bottom"), cut];
}"""
OVERFLOW = """(sheet) => {
  const page = sheet.getBoundingClientRect();
  const own = [...sheet.querySelectorAll("h1, h2, p, pre, li, img")];
  return Math.max(...own.map((e) => e.getBoundingClientRect().bottom - page.bottom));
}"""
