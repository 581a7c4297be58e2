"""What notebooks and Sphinx make of the same chapters, for comparison."""

import io
import re
import shutil
import warnings

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from builder.notebooks import split
from builder.notebooks.edition import editions
from builder.publishing import single, tabs
from builder.publishing.sphinx_source import Source
from builder.source.book import Book
from builder.source.prose import Prose, plain_text

INDEX = """\
# Book

```{toctree}
:numbered:
:glob:

[0-9]*
```
"""
BIBLIOGRAPHY = """\
@misc{one, author = {One, Ann}, title = {First}, year = {2001}}
@misc{two, author = {Two, Bob and Too, Cy}, title = {Second}, year = {2002}}
@misc{three, author = {A, A and B, B and C, C}, title = {Third}, year = {2003}}
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
WORKS = ("First", "Second", "Third")  # of the bibliography alone
MARKED = re.compile(r"Q(\d+):(.*?):Q", re.DOTALL)


def write(root, chapters):
    """A book of the `chapters`, by file name."""
    folder = root / "chapters"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "img").mkdir(parents=True)
    for name in ("a.svg", "b c.svg"):
        (folder / "img" / name).write_text(SVG)
    (folder / "book.toml").write_text('title = "T"\nauthor = "A"\nyear = 2026\n')
    (folder / "references.bib").write_text(BIBLIOGRAPHY)
    (folder / "index.md").write_text(INDEX)
    for name, text in chapters.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return Book(root)


def pages(book, backend=None, solutions=True):
    """The pages of the site, or of one framework's PDF and EPUB."""
    if backend:
        return single.pages(editions(book, backends=[backend]), solutions)
    return {
        chapter.stem: tabs.merged(list(editions(book, [chapter])))
        for chapter in book.chapters
    }


def sphinx(book, work, made):
    """Sphinx's warnings, and what readers see of each page among those `made`."""
    configuration = {"extensions": ["builder.sphinxext.tabs"]}
    folder, warned = work / "source", io.StringIO()
    shutil.rmtree(work, ignore_errors=True)
    Source(book.root, made, configuration).write(folder)
    with (
        patch_docutils(folder),
        docutils_namespace(),
        warnings.catch_warnings(action="ignore"),  # of extensions, not of Sphinx
    ):
        app = Sphinx(
            folder,
            folder,
            work / "out",
            work / "trees",
            "dummy",
            status=None,
            warning=warned,
        )
        app.build()
        env, builder = app.env, app.builder
        trees = {
            name: env.get_and_resolve_doctree(name, builder, tags=app.tags)
            for name in made
        }
    text = re.sub(r"\x1b\[[\d;]*m", "", warned.getvalue())
    return text, {name: _page(env, name, tree) for name, tree in trees.items()}


def _page(env, name, tree):
    sections = env.toc_secnumbers[name]
    numbers = {}
    for label, (page, target) in env.get_domain("std").anonlabels.items():
        if page == name:
            numbers[label] = _number(env, name, target)
    for label, (page, _) in env.get_domain("math").equations.items():
        if page == name:
            target = nodes.make_id(f"equation-{label}")
            numbers[label] = _number(env, name, target)
    title = env.titles[name].astext()
    return {
        "title": " ".join(title.split()),
        "number": ".".join(map(str, sections[""])),
        "labels": {key: value for key, value in numbers.items() if value},
        "marked": {n: _words(text) for n, text in MARKED.findall(tree.astext())},
        "images": [
            image["candidates"]["*"] if "candidates" in image else image["uri"]
            for image in tree.findall(nodes.image)
        ],
        "works": [work for work in WORKS if work in tree.astext()],
    }


def _number(env, name, target):
    """The number of what has the id `target`, as Sphinx refers to it."""
    node = env.get_doctree(name).ids.get(target)
    if node is None or not node["ids"]:
        return ""
    sections = env.toc_secnumbers[name]
    for figures in env.toc_fignumbers.get(name, {}).values():
        if node["ids"][0] in figures:
            return ".".join(map(str, figures[node["ids"][0]]))
    if isinstance(node, nodes.section):
        number = sections.get(f"#{node['ids'][0]}", sections[""])
        return ".".join(map(str, number))
    return ""


def _words(text):
    return " ".join(text.split())


def notebook(book, chapter, backend):
    """What readers of a notebook see, read as other viewers do."""
    made = [
        cell.source
        for cell in split.cells(book, chapter, backend)
        if cell.cell_type == "markdown"
    ]
    text = "\n\n".join(made)
    prose = Prose(text)
    shown = "\n".join(
        "".join(_shown(child) for child in token.children or [])
        for token in prose.tokens
        if token.type == "inline"
    )
    return {
        "text": text,
        "marked": {n: _words(found) for n, found in MARKED.findall(shown)},
        "works": [work for work in WORKS if work in shown],
        "images": [
            image.content.removeprefix("../../chapters/").replace(" ", "-")
            for image in prose.of("image")
        ],
    }


def _shown(token):
    if token.type == "math_inline":
        return token.content
    return plain_text(token)


def ours(book):
    """The book's own numbers, by chapter: its labels, lower-cased as Sphinx has them."""
    found = {chapter.stem: {} for chapter in book.chapters}
    for name, label in book.labels.items():
        key = name if label.kind == "equation" else name.lower()
        found[label.chapter][key] = label.number
    return found
