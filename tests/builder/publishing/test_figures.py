"""Figures that build up and figures with sliders, in each form that shows them.

They are those of the first chapter, in a book of their own.
"""

import shutil
import zipfile
from math import floor
from xml.etree import ElementTree

import pytest
from shared import ROOT, small_book

from builder.notebooks.edition import Edition, editions
from builder.publishing import epub, single, site, slides, student, tabs
from chapters.img import growth

playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed"
)
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe is not installed"
)

CHAPTER = """\
# Sums

:::{figure} img/dense-connections.svg
:name: fig-steps
:alt: Ten arrows.

It builds up.
:::

:::{figure} img/growth.svg
:name: fig-sliders
:alt: A block and its transition.
:script: img/growth.js

It has sliders.
:::

Far from {numref}`fig-sliders`.

+++ {"tags": ["slide"]}

## Steps

![Ten arrows.](img/dense-connections.svg)

+++ {"tags": ["slide"]}

## Sliders

:::{figure} img/growth.svg
:alt: A block and its transition.
:script: img/growth.js

They move here, too.
:::
"""
# c, k, n and θ as sliders have them: the first values, extremes, and DenseNet-BC's.
CHOICES = [
    ("64", "32", "4", "0.5"),
    ("8", "4", "1", "0.1"),
    ("256", "64", "24", "1"),
    ("24", "12", "16", "0.5"),
    ("16", "12", "9", "0.3"),
    ("248", "36", "2", "0.7"),
]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    root = tmp_path_factory.mktemp("book")
    folder = root / "chapters" / "img"
    shutil.copytree(ROOT / "chapters" / "img", folder)
    (root / "chapters" / "references.bib").touch()
    (root / "chapters" / "index.md").write_text(
        "# Sums\n\n```{toctree}\n:numbered:\n:glob:\n\n[0-9]*\n```\n"
    )
    (root / "chapters" / "book.toml").write_text(
        'title = "A Small Book"\nauthor = "A. Author"\nyear = 2026\n'
    )
    book = small_book.write(root, CHAPTER)
    edition(book).write()
    return book


def edition(book):
    return Edition(book, book.chapters[0], "torch")


@pytest.fixture(scope="module")
def page_file(book):
    """The chapter's page on the site."""
    out = book.root / "_build" / "html"
    site.build(book.root, out, {"01-sums": tabs.merged([edition(book)])})
    return out / "01-sums.html"


@pytest.fixture(scope="module")
def deck_file(book):
    """The chapter's slides."""
    out = book.root / "_build" / "slides" / "torch"
    slides.build(list(editions(book, backends=["torch"])), out)
    return out / "01-sums.html"


@pytest.fixture
def open_file(browser):
    """Opens a file; a mistake in one of its scripts fails the test."""
    contexts, mistakes = [], []

    def open_file(path, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda mistake: mistakes.append(str(mistake)))
        page.goto(path.as_uri())
        page.wait_for_load_state()
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert mistakes == []


def shown(page):
    """The numbers of the steps whose parts can be seen."""
    parts = page.locator("svg [data-step]").all()
    visible = {p.get_attribute("data-step") for p in parts if is_visible(p)}
    return "".join(sorted(visible))


def is_visible(part):
    return part.evaluate(
        """part => getComputedStyle(part).visibility === "visible"
            && getComputedStyle(part).opacity === "1" """
    )


@pytest.mark.slow
def test_a_reader_goes_from_step_to_step(open_file, page_file):
    page = open_file(page_file)
    assert shown(page) == "12345"  # until somebody wants to see it grow
    group = page.get_by_role("group", name="Step by step")
    status = group.get_by_role("status")
    next_ = group.get_by_role("button", name="Next")
    next_.click()
    assert shown(page) == "1"
    playwright.expect(status).to_have_text("1 of 5: The input x has c channels.")
    next_.press("Enter")
    next_.press("Space")
    assert shown(page) == "123"
    playwright.expect(status).to_contain_text("3 of 5: f₂ reads x and f₁")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")  # Back
    assert shown(page) == "12"
    page.emulate_media(media="print")
    assert shown(page) == "12345"
    assert not group.is_visible()
    page.emulate_media(media="screen")
    group.get_by_role("button", name="Back").click(click_count=2)
    assert shown(page) == "12345"  # round to the last


@pytest.mark.slow
def test_without_scripts_drawings_are_complete(open_file, page_file):
    page = open_file(page_file, java_script_enabled=False)
    assert shown(page) == "12345"
    for name in ("Ten arrows.", "A block and its transition."):
        assert page.get_by_role("img", name=name).is_visible()
    assert page.locator(".figure-controls").count() == 0
    assert values(page) == drawn(*CHOICES[0])


def values(page):
    """What the drawing with sliders shows: words, and paths of columns, by name."""
    return page.evaluate(
        """() => Object.fromEntries(
            [...document.querySelectorAll("svg [data-value]")].map((e) => [
                e.dataset.value,
                e.textContent || [...e.querySelectorAll("path")]
                    .map((p) => [p.getAttribute("d"), p.getAttribute("fill")])]))"""
    )


def drawn(c, k, n, theta):
    """The same as Python counts and draws it."""
    root = ElementTree.fromstring(growth.draw(int(c), int(k), int(n), float(theta)))
    named = {e.attrib["data-value"]: e for e in root.iter() if "data-value" in e.attrib}
    return {
        name: element.text or [[p.attrib["d"], p.attrib["fill"]] for p in element]
        for name, element in named.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("form", ["page_file", "deck_file"])
def test_sliders_show_what_python_counts(open_file, request, form):
    page = open_file(request.getfixturevalue(form))
    for choice in CHOICES:
        for name, value in zip("cknθ", choice, strict=True):
            page.locator(f"#growth-{name}").fill(value)
        assert values(page) == drawn(*choice)
    # The arithmetic of the last choice, by hand: two layers that read 248 and 284.
    shown = values(page)
    assert shown["chosen"] == "c = 248, k = 36, n = 2, θ = 0.7"
    assert shown["out"] == "320"
    assert shown["left"] == str(floor(0.7 * 320))
    assert shown["block"] == f"{2 * 532 + 9 * 532 * 36 + 2 * 36:,}"
    assert shown["transition"] == f"{2 * 320 + 320 * 224 + 224:,}"
    mib = 24 * 24 * 128 * 4 / 2**20
    assert shown["copies"] == f"{(2 * 532 + 320) * mib:.0f} MiB"
    assert shown["features"] == f"{320 * mib:.0f} MiB"


@pytest.mark.slow
def test_sliders_move_by_keyboard_and_are_heard(open_file, page_file):
    page = open_file(page_file)
    slider = page.get_by_role("slider", name="n, layers")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "5"
    figure = page.locator("figure", has=slider)
    playwright.expect(figure.locator("#growth-n + output")).to_have_text("5")
    heard = figure.locator(".heard")
    playwright.expect(heard).to_contain_text("224 channels from the block, 112 from")
    page.keyboard.press("Tab")
    playwright.expect(page.get_by_role("slider", name="θ, share")).to_be_focused()
    page.emulate_media(media="print")
    assert not slider.is_visible()


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_fit_a_phone_and_axe_finds_nothing(open_file, page_file, theme):
    size = {"width": 360, "height": 800}
    page = open_file(page_file, viewport=size, color_scheme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response
    serious = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert [(v["id"], v["nodes"][0]["target"]) for v in serious] == []
    looks = page.locator("svg.drawing").first.evaluate(
        "e => getComputedStyle(e).filter"
    )
    assert ("invert" in looks) is (theme == "dark")


@pytest.mark.slow
def test_a_card_shows_the_drawing_alone(open_file, page_file):
    page = open_file(page_file, viewport={"width": 1000, "height": 300})
    page.get_by_role("link", name="Figure 1.2").focus()
    card = page.get_by_role("tooltip")
    card.locator("svg").wait_for()
    assert card.locator("button, input").count() == 0
    assert page.locator("article .figure-controls").count() == 2  # no script ran again


@pytest.mark.slow
def test_steps_are_fragments_of_a_slide(open_file, deck_file):
    page = open_file(deck_file, viewport={"width": 1280, "height": 720})
    page.locator(".reveal.ready").wait_for()
    page.keyboard.press("ArrowRight")
    for steps in ("1", "12", "123", "1234", "12345"):
        page.wait_for_function(
            """steps => [...document.querySelectorAll("svg [data-step]")].every((p) =>
                (getComputedStyle(p).opacity === "1") === steps.includes(p.dataset.step))
            """,
            arg=steps,
        )
        assert shown(page) == steps
        page.keyboard.press("ArrowRight")
    assert page.get_by_role("heading", name="Sliders").is_visible()


@pytest.mark.slow
def test_a_slide_with_steps_is_one_page_on_paper(open_file, deck_file, tmp_path):
    page = open_file(deck_file)
    page.goto(f"{deck_file.as_uri()}?print-pdf")
    page.locator(".pdf-page").nth(2).wait_for(state="attached")
    assert page.locator(".pdf-page").count() == 3  # title, steps, sliders
    page.emulate_media(media="print")
    assert shown(page) == "12345"


def test_e_readers_show_pictures(book):
    out = book.root / "_build" / "epub" / "torch.epub"
    epub.build(book.root, out, single.pages([edition(book)]), "torch")
    with zipfile.ZipFile(out) as archive:
        text = archive.read("01-sums.xhtml").decode()
        assert not [name for name in archive.namelist() if name.endswith(".js")]
    assert "<svg" not in text
    assert "<script" not in text
    assert 'alt="Ten arrows."' in text
    assert 'alt="A block and its transition."' in text


def test_notebooks_show_pictures(book):
    [first, *_] = edition(book).notebook.cells
    assert (
        "![A block and its transition.](../../chapters/img/growth.svg)" in first.source
    )
    assert "script" not in first.source
    folders = student.build(editions(book, backends=["torch"]), book.root / "student")
    names = {path.name for path in (folders[0] / "img").iterdir()}
    assert names == {"dense-connections.svg", "growth.svg"}
