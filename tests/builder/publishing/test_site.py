"""The site as files: what Sphinx makes of merged notebooks, and what it refuses."""

import errno
import re
import sys
import threading
from base64 import b64decode
from urllib.parse import parse_qs, unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from shared import sample_book
from shared.little_room import small_disk
from shared.parsed import parse, text_of
from shared.sample_book import REPOSITORY

from builder.errors import BookError
from builder.publishing import site, sphinx_build
from builder.source import repository
from builder.sphinxext import katex
from d2lext.core.frameworks import TITLES

# What a browser loads by itself.
LOADED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "source": "src",
    "iframe": "src",
    "object": "data",
    "use": "href",
}


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The sample book's site."""
    root = tmp_path_factory.mktemp("book")
    pages, notebooks = sample_book.write(root), sample_book.notebooks()
    return site.build(root, root / "_build" / "html", pages, notebooks).parent


@pytest.fixture(scope="module")
def page(html):
    """The first chapter, parsed."""
    return parse(html / "01-dense.html")


def build(root, text=sample_book.CHAPTER):
    """Build the sample book with `text` as its first cell."""
    return site.build(root, root / "_build" / "html", sample_book.write(root, text))


def test_neighbouring_cells_of_frameworks_form_one_tab_set(page):
    sets = page.select(".sd-tab-set")
    labels = [[text_of(label) for label in s.select(".sd-tab-label")] for s in sets]
    four = list(TITLES.values())
    assert labels == [four, four, ["JAX"], four]
    for content, (name, title) in zip(
        sets[0].select(".sd-tab-content"), TITLES.items(), strict=True
    ):
        assert f"from d2lext import {name} as d2l" in text_of(content)
        assert f"{title} runs" in text_of(content)
        assert f"In {title}, shapes are checked." in text_of(content)
        assert len(content.select(".cell_input")) == 2


def test_tabs_are_radio_buttons_that_need_no_script(page):
    for tab_set in page.select(".sd-tab-set"):
        inputs = tab_set.find_all("input", recursive=False)
        assert len({radio["name"] for radio in inputs}) == 1
        assert [radio for radio in inputs if radio.has_attr("checked")] == inputs[:1]
        for radio in inputs:
            label = radio.find_next_sibling("label")
            assert radio["type"] == "radio"
            assert label["for"] == radio["id"]


def test_cells_of_all_frameworks_are_outside_tabs(page):
    [cell] = [c for c in page.select(".cell") if "DenseBlock(2, 10)" in c.get_text()]
    assert cell.find_parent(class_="sd-tab-set") is None
    assert text_of(cell.select_one(".cell_output")) == "(4, 23, 8, 8)"


def test_solution_is_one_closed_dropdown_with_its_tabs(page):
    [details] = page.select("details")
    assert not details.has_attr("open")
    assert text_of(details.summary) == "Solution"
    assert "Count" in text_of(details)
    assert len(details.select(".sd-tab-set")) == 1
    assert "assert count == 23" in text_of(details)
    assert "count(" not in text_of(page).replace(text_of(details), "")


def test_figures_and_equations_are_numbered_by_chapter(html, page):
    assert text_of(page.select_one("h1")).startswith("1 Dense Blocks")
    assert text_of(page.select_one("figcaption .caption-number")) == "Figure 1.1"
    numbers = [text_of(number) for number in page.select(".eqno")]
    assert [re.sub(r"[^(\d.)]", "", number) for number in numbers] == ["(1.1)", "(1.2)"]
    assert text_of(page.select_one("a[href='#drawing']")) == "Figure 1.1"
    assert "By (2.1), all is well." in text_of(parse(html / "02-network.html"))


def test_citations_link_to_the_list_of_their_own_chapter(html, page):
    assert "(He et al., 2016); Huang et al. (2017)" in text_of(page)
    entries = page.select(".references li")
    assert [text_of(e.p).split(",")[0] for e in entries] == ["Kaiming He", "Gao Huang"]
    for document in (page, parse(html / "02-network.html")):
        for link in document.select(".bibtex-citation a"):
            assert document.find(id=link["href"].removeprefix("#")) is not None


def test_references_link_back_to_the_sections_that_cite_them(html, page):
    assert [text_of(uses) for uses in page.select(".uses")] == ["Cited in 1.1"] * 2
    assert text_of(parse(html / "02-network.html").select_one(".uses")) == "Cited in 2"
    cited = [page.find(id=link["href"][1:]) for link in page.select(".uses a")]
    assert [text_of(use) for use in cited] == [
        "(He et al., 2016)",
        "Huang et al. (2017)",
    ]


def test_ids_are_unique(html):
    for path in html.glob("*.html"):
        ids = [element["id"] for element in parse(path).select("[id]")]
        assert sorted(set(ids)) == sorted(ids)


def test_each_framework_offers_its_notebook(html, page):
    links = {li["data-framework"]: li.a for li in page.select("[data-framework]")}
    assert list(links) == list(TITLES)
    for name, link in links.items():
        assert link["download"] == f"01-dense-{name}.ipynb"
        notebook = nbformat.read(html / link["href"], as_version=4)
        nbformat.validate(notebook)
        assert notebook.cells[1].source == f"from d2lext import {name} as d2l"


def test_a_downloaded_notebook_contains_its_images(html, page):
    link = page.select_one("[data-framework=jax] a")
    [prose, _] = nbformat.read(html / link["href"], as_version=4).cells
    image = BeautifulSoup(MarkdownIt().render(prose.source), "html.parser").img
    assert image["alt"] == "boxes, [one] and two"
    kind, _, data = image["src"].partition(";base64,")
    assert kind == "data:image/svg+xml"
    assert b64decode(data).decode() == sample_book.SVG


def test_missing_image_of_a_notebook_is_named(tmp_path):
    pages, notebooks = sample_book.write(tmp_path), sample_book.notebooks()
    (tmp_path / "chapters" / "img" / "drawing.svg").unlink()
    with pytest.raises(BookError, match=r"img/drawing\.svg cannot be read"):
        site.build(tmp_path, tmp_path / "html", pages, notebooks)


def test_pages_link_to_where_their_notebook_runs_and_is_discussed(page):
    file = "owner/name/blob/main/notebooks/jax/01-dense.ipynb"
    jax = page.select_one("[data-framework=jax]")
    assert {text_of(a): a["href"] for a in jax.select("a")[1:]} == {
        "Colab": f"https://colab.research.google.com/github/{file}",
        "SageMaker Studio Lab": f"https://studiolab.sagemaker.aws/import/github/{file}",
        "Binder": "https://mybinder.org/v2/gh/owner/name/main"
        "?urlpath=lab/tree/notebooks/jax/01-dense.ipynb",
    }
    links = page.select(".offers > li")[-1].select("a")
    source, discuss = [urlsplit(link["href"]) for link in links]
    assert source.path == "/owner/name/blob/main/chapters/01-dense.md"
    assert discuss.path == "/owner/name/issues"
    assert parse_qs(discuss.query) == {"q": ['is:issue "Dense Blocks"']}


def test_without_a_repository_no_link_leads_to_one(tmp_path):
    pages = sample_book.write(tmp_path, repository=None)
    index = site.build(tmp_path, tmp_path / "html", pages, sample_book.notebooks())
    page = parse(index.with_name("01-dense.html"))
    assert [text_of(link) for link in page.select(".offers a")] == ["Download"] * 4
    assert not [a for a in page.select("a[href]") if "owner" in a["href"]]
    assert not parse(index.with_name("02-network.html")).select(".offers")


def test_nothing_is_guessed_about_a_repository_elsewhere():
    elsewhere = repository.of({"repository": "https://git.example.org/owner/name"})
    assert elsewhere.run("notebooks/a.ipynb") == elsewhere.read("a.md", "A") == []


def test_addresses_are_escaped():
    ours = repository.of({"repository": f"{REPOSITORY}.git/", "branch": "a/b"})
    addresses = dict(ours.run("notebooks/a b.ipynb") + ours.read("a.md", 'A & "B"'))
    assert "/v2/gh/owner/name/a%2Fb?urlpath=lab/tree/" in addresses["Binder"]
    assert addresses["Colab"].endswith("/blob/a/b/notebooks/a%20b.ipynb")
    assert addresses["View source"].startswith(f"{REPOSITORY}/blob/a/b/a.md")
    assert "&" not in addresses["Discuss"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"repository": "owner/name"},
        {"repository": "http://github.com/owner/name"},
        {"repository": "https://github.com/owner"},
        {"repository": ["https://github.com/owner/name"]},
        {"repository": REPOSITORY, "branch": ""},
        {"repository": REPOSITORY, "branch": 1},
    ],
)
def test_a_wrong_repository_is_refused(wrong):
    with pytest.raises(BookError, match=r"book\.toml: (repository|branch) must be"):
        repository.of(wrong)


def test_formulas_are_rendered_before_the_page_is_opened(html, page):
    assert page.select(".katex .katex-html")
    assert page.select(".katex math")
    for element in page.select(".math"):
        element.decompose()
    assert "\\mathbf" not in page.get_text()
    assert "$" not in page.article.get_text()
    names = [script.get("src", "") for script in page.select("script")]
    assert not [name for name in names if "katex" in name or "mathjax" in name.lower()]
    font = html / "_static" / "fonts" / "KaTeX_Main-Regular.woff2"
    assert font.stat().st_size > 9999


def test_formulas_stay_with_the_punctuation_beside_them(tmp_path):
    index = build(tmp_path, sample_book.CHAPTER + "\n\nHere ($a+b$): $c$ is the $n$th.")
    page = parse(index.with_name("01-dense.html"))
    [paragraph] = [p for p in page.select("p") if p.get_text().startswith("Here (")]
    for formula in paragraph.select(".katex"):
        formula.replace_with("x")
    assert text_of(paragraph) == "Here (x): x is the xth."
    assert [text_of(s) for s in paragraph.select(".unbroken")] == ["(x):", "xth"]


def test_outputs_and_figures_have_alternative_text(page):
    images = page.select("article img")
    assert len(images) == 1 + len(TITLES) + 1
    assert all(image["alt"] and ".svg" not in image["alt"] for image in images)


def test_footer_names_the_author_and_links_to_the_repository(page):
    assert "2026 A. Author" in text_of(page.footer)
    assert page.footer.find("a", href=REPOSITORY) is not None


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_missing(html):
    used = []
    for path in html.glob("*.html"):
        for tag, attribute in LOADED.items():
            for element in parse(path).find_all(tag):
                used.append((path, element.get(attribute, "")))
    for path in html.rglob("*.css"):
        css = path.read_text(encoding="utf-8")
        used += [(path, url.strip("'\"")) for url in re.findall(r"url\((.*?)\)", css)]
        assert "@import" not in css
    assert len(used) > 50
    for path, address in used:
        parts = urlsplit(address)
        assert parts.scheme in ("", "data"), (path, address)
        assert not parts.netloc, (path, address)
        if parts.path and not parts.scheme:
            assert (path.parent / unquote(parts.path)).is_file(), (path, address)


MISTAKES = {
    "See {numref}`nowhere`.": "nowhere",
    "See {eq}`nowhere`.": "nowhere",
    "See {cite:t}`Nobody.1900`.": 'could not find bibtex key "Nobody.1900"',
    "See [there](missing.md).": "missing.md",
    "Add $x + \\frac{1$ to it.": "KaTeX parse error",
    "![What](img/missing.svg)": "missing.svg",
    "```{nonsense}\n```": "nonsense",
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """A chapter with all MISTAKES, and the lines of the error that it causes."""
    root = tmp_path_factory.mktemp("book")
    text = "\n\nAll is well.\n\n".join([sample_book.CHAPTER, *MISTAKES])
    with pytest.raises(BookError) as caught:
        build(root, text)
    assert str(root) not in str(caught.value)
    return text, str(caught.value).splitlines()


@pytest.mark.parametrize("wrong", MISTAKES)
def test_mistake_names_its_line_in_the_chapter(refused, wrong):
    text, messages = refused
    line = text.count("\n", 0, text.index(wrong)) + 1
    [message] = [m for m in messages if m.startswith(f"chapters/01-dense.md:{line}: ")]
    assert MISTAKES[wrong] in message


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The folder of a book that these tests rebuild, whatever the last one left."""
    return tmp_path_factory.mktemp("book")


@pytest.mark.slow
def test_failed_build_keeps_the_last_good_site(kept):
    chapter = build(kept).with_name("01-dense.html")
    good = chapter.read_text()
    wrong = sample_book.CHAPTER + "\n\nAll is well, see {numref}`nowhere`."
    for _ in range(2):  # the second one trusts nothing that the first one cached
        with pytest.raises(BookError, match="nowhere"):
            build(kept, wrong)
        assert chapter.read_text() == good
    build(kept, wrong.replace("nowhere", "drawing"))
    assert "All is well" in chapter.read_text()


def test_lines_are_right_after_repeated_and_wrapped_cells(tmp_path):
    pages = sample_book.write(tmp_path)
    code = "a = 1\n# the same line\nprint(a)"
    lines = ["---", "kernelspec: x", "---", "", *sample_book.CHAPTER.splitlines()]
    lines += ["", "```{code-cell}", "---", "tags: [solution]", "---"]
    lines += [*code.splitlines(), "```", "", "# the same line", "{ref}`nowhere`"]
    pages["01-dense"].cells[1:-1] = [
        *[sample_book.code(code, f"tab-{name}") for name in TITLES],
        sample_book.prose("# the same line\n{ref}`nowhere`", "tab-jax", "solution"),
    ]
    (tmp_path / "chapters" / "01-dense.md").write_text("\n".join(lines))
    with pytest.raises(BookError, match=rf"chapters/01-dense\.md:{len(lines)}: "):
        site.build(tmp_path, tmp_path / "_build" / "html", pages)


COMMANDS = [
    "%matplotlib inline",
    "if ready:\n    !ls -l",
    "words = !echo $HOME",
    "len?",
    "%%bash\necho $((2 + 2))",
    "%%writefile a.yaml\ncost: $5 ?",
    "%%time\nx = 1",
]


def test_commands_are_highlighted_and_images_may_be_in_folders(tmp_path):
    pages = sample_book.write(tmp_path)
    cells = [sample_book.code(command) for command in COMMANDS]
    pages["01-dense"].cells += [*cells, sample_book.prose("![A plot.](img/a/b.svg)")]
    (tmp_path / "chapters" / "img" / "a").mkdir()
    (tmp_path / "chapters" / "img" / "a" / "b.svg").write_text(sample_book.SVG)
    index = site.build(tmp_path, tmp_path / "_build" / "html", pages)
    page = parse(index.with_name("01-dense.html"))
    shown = {pre.get_text().strip(): pre for pre in page.select(".cell_input pre")}
    assert {*COMMANDS} <= {*shown}
    assert shown["words = !echo $HOME"].select_one(".o, .p").text in "=!"
    # What %%writefile writes is in no known language, and keeps nothing from the site.
    assert [text for text, pre in shown.items() if pre.select(".err")] == [COMMANDS[5]]
    assert (index.parent / page.select_one("img[alt='A plot.']")["src"]).is_file()


def test_a_full_disk_is_one_sentence(tmp_path):
    pages = sample_book.write(tmp_path)
    (tmp_path / "_build").mkdir()
    with small_disk(tmp_path / "_build", "300k"), pytest.raises(BookError) as error:
        site.build(tmp_path, tmp_path / "_build" / "html", pages)
    assert re.search("written .No space left.*unchanged: free some space", str(error))


def test_builds_take_turns_and_name_what_they_could_not_write(tmp_path, capsys):
    out, work, entered = tmp_path / "html", tmp_path / "work", threading.Event()

    def second():
        with sphinx_build.alone(out, work):
            entered.set()

    with sphinx_build.alone(out, work):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(5)
    thread.join()
    assert capsys.readouterr().out == "waiting for another build to finish\n"
    place = str(tmp_path / "html.new")
    with pytest.raises(BookError) as error, sphinx_build.alone(out, work):
        raise OSError(errno.EROFS, "Read-only file system", place)
    assert str(error.value) == (
        f"{out} could not be written (Read-only file system: {place}) and is unchanged: "
        "free some space, or make it writable, and try again"
    )


def test_unchanged_book_is_not_built_again(kept):
    index = build(kept)
    before = index.stat().st_mtime_ns
    assert build(kept) == index
    assert index.stat().st_mtime_ns == before
    build(kept, sample_book.CHAPTER + "\n\nAll is well.")
    assert index.stat().st_mtime_ns > before
    assert "All is well" in (index.parent / "01-dense.html").read_text()


def times(root):
    """When each page was last written by Sphinx."""
    written = root / "_build" / "work" / "site" / "kept" / "html"
    return {path.name: path.stat().st_mtime_ns for path in written.glob("0*.html")}


def contents(folder):
    """All files of a site."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


AGAIN = {
    "prose": ("what earlier layers found", "what they found", ["01-dense.html"]),
    "citation": ("Concatenation", "{cite:t}`He.ea.2016` adds", ["01-dense.html"]),
    # All show a title; the second chapter shows the number of the nested formula.
    "title": ("# Dense Blocks", "# Denser Blocks", "all"),
    "number": ("$$\nf", "$$\na\n$$ (first)\n\n$$\nf", "all"),
}


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(
            edit, marks=() if edit in ("prose", "number") else pytest.mark.slow
        )
        for edit in AGAIN
    ],
)
def test_an_edit_writes_the_pages_that_show_it_and_the_same_site(tmp_path, edit):
    old, new, wanted = AGAIN[edit]

    def build(root, edited):
        pages = sample_book.write(root)
        pages["02-network"].cells[0].source += "\n\nSee {eq}`nested` there."
        for cell in pages["01-dense"].cells if edited else ():
            cell.source = cell.source.replace(old, new)
        out = root / "_build" / "html"
        return site.build(root, out, pages, sample_book.notebooks()).parent

    for root in (first := tmp_path / "first", second := tmp_path / "second"):
        build(root, edited=root == second)
    before = times(first)
    html = build(first, edited=True)
    now = times(first)
    written = sorted(name for name in now if now[name] != before[name])
    assert written == (sorted(now) if wanted == "all" else wanted)
    assert contents(html) == contents(second / "_build" / "html")


def test_removed_chapter_leaves_the_site(kept):
    before = build(kept)
    assert before.with_name("02-network.html").exists()
    assert "One Network" in before.read_text()
    pages = sample_book.write(kept)
    del pages["02-network"]
    index = site.build(kept, kept / "_build" / "html", pages)
    assert not (index.parent / "02-network.html").exists()
    assert "One Network" not in index.read_text()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (None, "book.toml is missing"),
        ("title = ", r"book.toml:1: not valid TOML \(Invalid"),
        ("year = 1", "no title"),
    ],
)
def test_settings_are_checked(tmp_path, settings, message):
    pages = sample_book.write(tmp_path)
    path = tmp_path / "chapters" / "book.toml"
    path.unlink() if settings is None else path.write_text(settings)
    with pytest.raises(BookError, match=message):
        site.build(tmp_path, tmp_path / "html", pages)


def test_unreachable_registry_is_one_clear_error_and_leaves_nothing(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    with pytest.raises(BookError, match="connect to the network"):
        katex.folder()
    assert list((tmp_path / "share" / "d2lext").iterdir()) == []
