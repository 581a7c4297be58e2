"""The front page in each form, what surrounds every page, and pages that have moved."""

import contextlib
import io
import re
import zipfile

import pytest
from nbformat.v4 import new_output
from shared import sample_book
from shared.parsed import parse, text_of

from builder.errors import BookError
from builder.publishing import about, epub, pdf, site, sphinx_build
from builder.publishing.sphinx_source import Source
from d2lext.core.frameworks import TITLES
from d2lext.core.training import report

CARDS = {
    "01-dense": {
        "question": ["Why $k = 12$ & not 11?", 7],
        "outcome": ["You *build* it.", 8],
        "time": ["an hour", 9],
        "needs": ["[sums](https://d2l.ai)", 10],
    },
    "02-network": {"question": ["Is it the same?", 7]},
}


class Trainer:
    """What a report needs of a trainer: two epochs of 31 and 2 s each."""

    history = [{"train_seconds": 31, "val_seconds": 2, "train_loss": 0.5}] * 2
    num_train_examples = 50_000
    data = None
    precision, used_precision, seed, distributions = "auto", "bf16", 0, ("numpy",)

    def device_name(self):
        return "CPU: Best, 2 cores"

    def how_compiled(self):
        return "not compiled"


def printed():
    """What a training prints."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        report.end(Trainer())
    return text.getvalue()


def write(root, cards=CARDS, trained=("torch", "jax"), settings="", index=""):
    """The sample book in `root` with cards, and trainings in these frameworks."""
    pages = sample_book.write(root)
    for name, page in pages.items():
        stream = new_output("stream", name="stdout", text=f"lines\n{printed()}")
        notebook = sample_book.numbered([sample_book.code("fit()", outputs=[stream])])
        runs = about.trainings(notebook)
        page.metadata["about"] = {
            "card": cards.get(name, {}),
            "trainings": dict.fromkeys(trained, runs) if name == "01-dense" else {},
        }
    chapters = root / "chapters"
    with (chapters / "book.toml").open("a") as file:
        file.write(settings)
    (chapters / "authors.md").write_text("# For Those Who *Write*\n")
    (chapters / "index.md").write_text(sample_book.FRONT + index)
    return pages


def build(root, **changes):
    """The front page of the site."""
    pages, notebooks = write(root, **changes), sample_book.notebooks()
    return parse(site.build(root, root / "_build" / "html", pages, notebooks))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A book whose PDF, EPUB and slides were built for some frameworks."""
    root = tmp_path_factory.mktemp("book")
    for name, content in {
        "pdf/torch.pdf": "of torch",
        "pdf/jax-no-solutions.pdf": "for students",
        "epub/jax.epub": "of jax",
        "slides/jax/index.html": '<script src="_static/reveal.js"></script>',
        "slides/jax/01-dense.html": '<img src="_images/a.svg">',
        "slides/jax/_static/reveal.js": "run()",
        "slides/jax/_images/a.svg": "<svg/>",
        "slides/jax/_sources/index.txt": "",
        "slides/jax/.inputs": "",
    }.items():
        path = root / "_build" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    build(
        root,
        settings='byline = "A & B"\n[redirects]\n"04-dense" = "01-dense"\n',
        index="\n:::{only} builder_html\nSee [them](authors.md).\n:::\n",
    )
    return root


@pytest.fixture(scope="module")
def html(root):
    return root / "_build" / "html"


@pytest.fixture(scope="module")
def front(html):
    return parse(html / "index.html")


def test_each_chapter_has_a_card(front):
    first, second = front.select("ul.cards > li")
    assert first.a["href"] == "01-dense.html"
    assert text_of(first.select_one(".title")) == "1 Dense Blocks"
    assert first.select_one(".question annotation").string == "k = 12"
    assert text_of(first.select_one(".outcome em")) == "build"
    assert text_of(first.select_one(".time")) == "Time: an hour"
    assert first.select_one(".needs a")["href"] == "https://d2l.ai"
    assert [text_of(p) for p in second.select("p")] == [
        "2 One Network",
        "Is it the same?",
    ]


def test_buttons_lead_to_what_was_built(front, html):
    assert front.select_one(".buttons a.start")["href"] == "01-dense.html"
    found = {
        (row["data-framework"], text_of(link)): (html / link["href"]).read_text()
        for row in front.select(".buttons li")
        for link in row.select("a")
    }
    notebooks = {key: found.pop(key) for key in [*found] if key[1] == "Notebook"}
    assert [backend for backend, _ in notebooks] == list(TITLES)
    assert "from d2lext import jax as d2l" in notebooks["jax", "Notebook"]
    assert found == {
        ("torch", "PDF"): "of torch",
        ("jax", "EPUB"): "of jax",
        ("jax", "Slides"): '<script src="../_static/reveal.js"></script>',
    }


def test_slides_are_whole_and_on_their_chapters_page(html):
    folder = html / "slides"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    assert found == {
        "_static/reveal.js",
        "jax/01-dense.html",
        "jax/_images/a.svg",
        "jax/index.html",
    }
    page = parse(html / "01-dense.html")
    [link] = page.find_all("a", string="Slides")
    assert link["href"] == "slides/jax/01-dense.html"
    assert link.parent["data-framework"] == "jax"
    assert not parse(html / "02-network.html").find_all("a", string="Slides")


def test_what_is_not_built_any_more_is_not_linked(tmp_path):
    path = tmp_path / "_build" / "pdf" / "jax.pdf"
    path.parent.mkdir(parents=True)
    path.write_text("of jax")
    assert "PDF" in text_of(build(tmp_path).select_one(".buttons"))
    path.unlink()
    assert "PDF" not in text_of(build(tmp_path).select_one(".buttons"))
    assert not (tmp_path / "_build" / "html" / "books" / "jax.pdf").exists()


def test_times_are_those_that_trainings_print(front):
    rows = [[text_of(c) for c in row.select("th, td")] for row in front.select("tr")]
    assert rows == [
        ["Training", "On", "PyTorch", "JAX"],
        [
            "Chapter 1: 2 epochs of 50,000 examples",
            "CPU: Best, 2 cores",
            "66 s",
            "66 s",
        ],
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(89, "89 s"), (90, "2 min"), (1365, "23 min"), (5400, "1.5 h")],
)
def test_a_time_has_the_unit_in_which_one_says_it(seconds, said):
    assert about.duration(seconds) == said


def test_short_trainings_are_left_out_and_equal_ones_added():
    def of(*runs):
        return about.table({"01-a": {"trainings": {"mxnet": [list(r) for r in runs]}}})

    assert of(("1 epoch", "GPU", 3, 59)) == ([], [])
    assert of(("1 epoch", "GPU", 3, 60)) == (
        ["MXNet"],
        [("01-a", "3 times 1 epoch", "GPU", ["60 s"])],
    )


def test_the_citation_is_that_of_the_settings(front):
    [block] = [pre for pre in front.select("pre") if "@book" in pre.get_text()]
    assert block.get_text().splitlines() == [
        "@book{a2026,",
        "  title = {A Small Book},",
        "  author = {A. Author},",
        "  year = {2026},",
        f"  url = {{{sample_book.REPOSITORY}}},",
        "}",
    ]


def test_the_front_page_says_who_wrote_the_book(front, html):
    assert text_of(front.h1.find_next_sibling()) == "A & B"
    assert not parse(html / "01-dense.html").select(".byline")


def test_contents_are_chapters_with_sections_and_other_pages_are_at_the_foot(html):
    page = parse(html / "02-network.html")
    contents = [text_of(a) for a in page.select(".sidebar-tree a")]
    assert contents[:3] == ["1 Dense Blocks", "1.1 From sums to lists", "1.2 Shapes"]
    assert contents[-1] == "2 One Network"
    assert not page.select(".toctree-checkbox[checked]")
    [foot] = page.select("footer nav.more a")
    assert (text_of(foot), foot["href"]) == ("For Those Who Write", "authors.html")
    assert parse(html / "index.html").article.find("a", string="them")


def test_a_new_section_is_in_the_contents_of_all_pages(tmp_path):
    out = tmp_path / "_build" / "html"
    for title in ("Old", "New"):
        pages = write(tmp_path)
        pages["02-network"].cells[-1].source += f"\n\n## {title}\n\nText."
        site.build(tmp_path, out, pages)
        contents = parse(out / "01-dense.html").select(".sidebar-tree a")
        assert text_of(contents[-1]) == f"2.1 {title}"


def test_a_former_address_leads_to_the_page(html):
    page = parse(html / "04-dense.html")
    assert page.a["href"] == "01-dense.html"
    assert text_of(page.a) == "Dense Blocks"
    assert page.noscript.meta["content"] == "0; url=01-dense.html"
    old, new = (
        (html / "notebooks" / "jax" / f"{name}.ipynb").read_bytes()
        for name in ("04-dense", "01-dense")
    )
    assert old == new


@pytest.mark.slow
@pytest.mark.parametrize("script", [True, False])
def test_a_former_address_keeps_framework_and_section(html, browser, script):
    context = browser.new_context(java_script_enabled=script)
    page = context.new_page()
    page.goto(f"{html.as_uri()}/04-dense.html?framework=jax#shapes")
    page.wait_for_url("**/01-dense.html*")
    if script:
        assert page.url.endswith("/01-dense.html?framework=jax#shapes")
        assert page.locator(".frameworks input:checked").get_attribute("value") == "jax"
    context.close()


def test_a_mistake_on_a_card_names_its_line_in_the_chapter(tmp_path):
    cards = {"01-dense": {"question": ["What is $\\frac{1$?", 7]}}
    with pytest.raises(BookError, match=r"\nchapters/01-dense.md:7: KaTeX parse error"):
        build(tmp_path, cards=cards)


@pytest.fixture(scope="module")
def latex(tmp_path_factory):
    """The LaTeX of the book for JAX."""
    root = tmp_path_factory.mktemp("book")
    pages = sample_book.for_one(write(root, trained=["jax"]), "jax")
    index = "\n:::{only} builder_html\nSee [them](authors.md).\n:::\n"
    (root / "chapters" / "index.md").write_text(sample_book.FRONT + index)
    settings = pdf._configuration(pdf.read_settings(root), "jax")
    source = Source(root, pages, settings, kinds=(".svg",))
    out = root / "_build" / "tex"
    with sphinx_build.alone(out, root / "work"):
        sphinx_build.build(source, out, root / "work", builder="latex")
    return (out / "book.tex").read_text()


def test_in_print_the_front_page_is_prose(latex):
    assert re.findall(r"\\chapter\{(.*?)\}", latex) == ["Dense Blocks", "One Network"]
    preface = latex.partition(r"\chapter{")[0]
    assert r"\sphinxstyleemphasis{Why" in preface
    for text in ("Its Chapters", "Time: an hour", "Chapter 1", "66 s", "@book"):
        assert text in preface
    assert "Start reading" not in latex
    assert "See" not in preface  # what only the site says, or has


def test_in_an_e_book_the_front_page_is_prose(tmp_path):
    pages = sample_book.for_one(write(tmp_path, trained=["jax"]), "jax")
    out = tmp_path / "_build" / "epub" / "jax.epub"
    epub.build(tmp_path, out, pages, "jax")
    with zipfile.ZipFile(out) as archive:
        text = archive.read("index.xhtml").decode()
    assert "Start reading" not in text
    for said in ("Its Chapters", "Time: an hour", "66 s", 'href="01-dense.xhtml"'):
        assert said in text
