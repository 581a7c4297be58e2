"""Pages beside the chapters, and the library's reference among them."""

import re
import shutil

import pytest
from shared import sample_book
from shared.parsed import parse, text_of
from shared.sample_book import REPOSITORY

from builder.errors import BookError
from builder.publishing import site
from builder.publishing.sphinx_source import Source
from builder.sphinxext import library
from d2lext.core.frameworks import IDS, TITLES

STUDENTS = """
# For Students

See [Machines](machines.md#odd-places), and `Trainer`.

![Two boxes.](../img/drawing.svg)
"""
MACHINES = "# Machines\n\n## Odd Places\n\nOdd.\n"
REFERENCE = """
# Training

`num_gpus` is linked here; `fit` has no section.

```{api} Trainer
:members: fit, test
```

```{api} num_gpus create_model list_models architecture Architecture get_key
```

```{api} core.densenet.parity.compare
```
"""


def write(root, **files):
    """The sample book, whose first chapter uses the library, with these pages."""
    pages = sample_book.write(root)
    prose = sample_book.prose("A trainer is a `d2l.Trainer`, not a `Trainer`.")
    code = sample_book.code("d2l.Trainer(max_epochs=1), d2l.unknown, Trainer")
    pages["01-dense"].cells[1:1] = [prose, code]
    sample_book.numbered(pages["01-dense"].cells)
    for name, text in files.items():
        path = root / "chapters" / f"{name.replace('__', '/')}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return pages


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The site of the sample book with guides and a reference."""
    root = tmp_path_factory.mktemp("book")
    files = {"guides__students": STUDENTS, "guides__machines": MACHINES}
    pages = write(root, **files, reference__training=REFERENCE)
    (root / "CHANGELOG.md").write_text("# Changelog\n")
    return site.build(root, root / "_build" / "html", pages).parent


@pytest.fixture(scope="module")
def reference(html):
    """The page of the reference, parsed."""
    return parse(html / "reference" / "training.html")


def test_groups_follow_the_chapters(html):
    tree = parse(html / "index.html").select_one(".sidebar-tree")
    assert [text_of(c) for c in tree.select(".caption")] == ["Guides", "Reference"]
    links = [link["href"] for link in tree.select("li.toctree-l1 > a")]
    assert links == [
        "01-dense.html",
        "02-network.html",
        "guides/machines.html",
        "guides/students.html",
        "guides/changelog.html",
        "reference/training.html",
    ]


def test_they_are_no_chapters(html):
    for path in (html / "guides").glob("*.html"):
        page = parse(path)
        assert not re.search(r"\d", text_of(page.select_one("h1")))
        assert not page.select(".offers")
    assert not list((html / "notebooks").rglob("*students*"))


def test_they_are_on_the_site_alone(tmp_path):
    pages = write(tmp_path, guides__students=STUDENTS)
    Source(tmp_path, pages, {"extensions": []}).write(tmp_path / "source")
    names = {
        p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("source/**/*.md")
    }
    assert names == {"source/index.md"}


def test_they_link_to_one_another(html):
    page = parse(html / "guides" / "students.html")
    [link] = page.select("article a[href^='machines.html']")
    anchor = link["href"].partition("#")[2]
    target = parse(html / "guides" / "machines.html").find(id=anchor)
    assert text_of(target.find(["h2"])).startswith("Odd Places")
    [image] = page.select("article img")
    assert (html / "guides" / image["src"]).is_file()


def test_search_quotes_them_by_their_whole_names(html):
    script = (html / "searchpages.js").read_text()
    [line] = [x for x in script.splitlines() if x.startswith('"guides/machines.html"')]
    assert "Odd." in line
    assert 'PAGES[page.replace("./", "")]' in script  # Sphinx asks for ./guides/...


def test_github_is_told_to_serve_styles(html):
    assert (html / ".nojekyll").is_file()


def test_frameworks_have_tabs_where_they_differ(reference):
    def labels(name):
        return [text_of(l) for l in reference.find(id=name).select(".sd-tab-label")]

    assert labels("Trainer") == [*TITLES.values()]  # JAX's `fit` takes a key
    assert labels("get_key") == ["JAX"]
    assert labels("list_models") == labels("parity.compare") == []


def test_a_class_has_its_arguments_and_the_docstrings_of_core_and_framework(reference):
    tabs = reference.find(id="Trainer").select(".sd-tab-content")
    for backend, tab in zip(IDS, tabs, strict=True):
        head = re.sub(r"\s", "", text_of(tab.select_one("dt.sig")))
        assert head.startswith("classd2l.Trainer(max_epochs:int,num_gpus:int=0,")
        assert "With num_gpus >= 1 it trains on one GPU" in text_of(tab)
        has_cuda = "CUDA graph" in text_of(tab)
        assert has_cuda == (backend == "torch")
        members = [text_of(m) for m in tab.select("dd dt.sig .descname")]
        assert members == ["fit", "test"]


def test_names_that_differ_in_case_are_two(reference):
    for name, kind in {"architecture": "function", "Architecture": "class"}.items():
        assert reference.find(id=name).select_one("dl.py")["class"] == ["py", kind]


def test_names_in_prose_lead_to_their_section(html, reference):
    first = reference.select_one("article p")
    assert [(text_of(a), a["href"]) for a in first.select("a")] == [
        ("num_gpus", "#num_gpus")
    ]
    # In Trainer's docstring the same word is an argument.
    assert not reference.find(id="Trainer").select("a[href='#num_gpus']")
    chapter = parse(html / "01-dense.html")
    links = chapter.select("p a[href='reference/training.html#Trainer']")
    assert [text_of(link.code) for link in links] == ["d2l.Trainer"]
    [link] = parse(html / "guides" / "students.html").select("article a[href*=Trainer]")
    assert link["href"] == "../reference/training.html#Trainer"


def test_names_in_code_lead_to_their_section(html):
    cell = parse(html / "01-dense.html").select_one(".cell pre:-soup-contains(unknown)")
    assert [(text_of(a), a["href"]) for a in cell.select("a")] == [
        ("Trainer", "reference/training.html#Trainer")
    ]
    assert "d2l.Trainer(max_epochs=1), d2l.unknown, Trainer" in cell.get_text()


def test_signatures_link_to_their_lines(reference):
    places = {
        link.get("data-framework", ""): link["href"]
        for name in ("list_models", "create_model")
        for link in reference.find(id=name).select("a.source")
    }
    head = f"{REPOSITORY}/blob/main/"
    for address in places.values():
        path, first = re.fullmatch(rf"{head}(\S+)#L(\d+)-L\d+", address).groups()
        lines = (library.FOLDER.parent / path).read_text().splitlines()
        assert re.match(r"def (list_models|create_model)\(", lines[int(first) - 1])
    assert {*places} >= {""}


def test_an_unknown_name_is_an_error_at_its_line(tmp_path):
    text = "# Training\n\n```{api} Trainer Trainee\n```\n"
    pages = write(tmp_path, reference__training=text)
    with pytest.raises(BookError) as caught:
        site.build(tmp_path, tmp_path / "_build" / "html", pages)
    place = r"chapters/reference/training\.md:3: .*the library has no 'Trainee'"
    assert re.search(place, str(caught.value))


def test_a_docstring_that_changes_changes_its_page(tmp_path, monkeypatch):
    copy = shutil.copytree(library.FOLDER, tmp_path / "d2lext")
    monkeypatch.setattr(library, "FOLDER", copy)
    pages = write(tmp_path, reference__names="# Names\n\n```{api} list_models\n```\n")
    out = tmp_path / "_build" / "html"
    site.build(tmp_path, out, pages)
    path = copy / "core" / "densenet" / "registry.py"
    path.write_text(
        path.read_text().replace("The names that `create_model` knows", "New")
    )
    site.build(tmp_path, out, pages)
    assert "New, limited to" in text_of(parse(out / "reference" / "names.html"))
