"""The slides of a lecture: one reveal.js deck per framework and chapter.

They consist of the cells tagged `slide`. Prose with this tag appears in lectures only; a
heading `## …` in it starts a slide. Code with it appears with its recorded output, in
full or as its option `lines` selects. Prose tagged `notes` is for the lecturer.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from builder.errors import BookError
from builder.notebooks import markdown
from builder.notebooks.edition import Edition
from builder.notebooks.fallback import readable
from builder.publishing import sphinx_build, sphinx_source
from builder.publishing.sphinx_source import Source
from builder.source import pages as book_pages
from builder.source.chapter import Cell, Chapter
from builder.source.settings import read_settings
from builder.sphinxext import katex
from d2lext.core.frameworks import TITLES

HERE = Path(__file__).parent
ROOM = 18  # lines of code and text output, at the 79 columns of code
LARGE = (13, 66)  # lines and columns of code that fits in larger type, too
# What slides can show, best first; myst-nb knows this for other builders only.
MIME_TYPES = (
    *("image/svg+xml", "image/png", "image/jpeg"),
    *("text/html", "text/markdown", "text/plain"),
)
REVEAL = {
    "width": 1280,
    "height": 720,
    "margin": 0,
    "center": False,
    "controlsLayout": "edges",
    "hash": True,
    "slideNumber": "c/t",
    "transition": "none",
    "pdfSeparateFragments": False,
    "pdfMaxPagesPerSlide": 1,
}


def build(own: Sequence[Edition], out: Path) -> Path:
    """Write the decks of one framework's editions into `out`; return its first page."""
    root, backend = own[0].book.root, own[0].backend
    decks = {
        edition.chapter.stem: deck(edition)
        for edition in own
        if has_slides(edition.chapter)
    }
    if not decks:
        raise BookError(
            "no chapter has slides: tag cells with `slide` in chapters/*.md"
        )
    title = read_settings(root)["title"]
    pages = {**decks, "index": _front(title, list(decks), backend)}
    moved = book_pages.moved(root, [c.stem for c in own[0].book.chapters])
    configuration = _configuration()
    configuration["book_redirects"] = {o: n for o, n in moved.items() if n in decks}
    source = Source(root, pages, configuration)
    work = out.parent.with_name("work") / f"slides-{backend}"
    with sphinx_build.alone(out, work):
        sphinx_build.build(source, out, work, builder="revealjs")
    return out / "index.html"


def has_slides(chapter: Chapter) -> bool:
    """Whether the chapter has a cell that a lecture shows."""
    return any("slide" in cell.tags for cell in chapter.lecture)


def deck(edition: Edition) -> NotebookNode:
    """The slides of a chapter as a notebook in MyST, one section per slide."""
    chapter = edition.chapter
    outputs = {
        cell.line: [*map(readable, recorded.get("outputs", []))]
        for cell, recorded in edition.pairs()
    }
    title = f"# {chapter.title}\n\n{TITLES[edition.backend]}"
    cells = [_markdown("title", title)]
    for i, cell in enumerate(chapter.lecture):
        is_tagged = "slide" in cell.tags or cell.is_for_lectures
        if edition.backend not in cell.backends or not is_tagged:
            continue
        if cell.kind == "markdown":
            text = markdown.with_references(
                cell.prose, chapter, edition.book, edition.backend
            )
            if "notes" in cell.tags:
                text = f"::::::{{revealjs-notes}}\n{text}\n::::::"
            kind = "notes" if "notes" in cell.tags else "slide"
            cells.append(_markdown(f"{kind}-{i}", text))
        else:
            cells.append(_code(f"code-{i}", chapter, cell, outputs[cell.line]))
    return sphinx_source.notebook(cells)


def _front(title: str, names: Sequence[str], backend: str) -> NotebookNode:
    """The slide that links to the decks."""
    links = "\n".join(f"- {{doc}}`{name}`" for name in names)
    entries = "\n".join(["", ":hidden:", "", *names, ""])
    text = f"# {title}\n\n{TITLES[backend]}\n\n{links}\n\n:::{{toctree}}{entries}:::\n"
    return sphinx_source.notebook([_markdown("front", text)])


def _markdown(cell_id: str, text: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(text, id=cell_id)


def _code(
    cell_id: str, chapter: Chapter, cell: Cell, outputs: Sequence[NotebookNode]
) -> NotebookNode:
    """The part of a cell that its slide shows; raises BookError if it does not fit."""
    lines = cell.source.splitlines()
    if cell.lines:
        lines = lines[cell.lines[0] - 1 : cell.lines[1]]
    printed = sum(len(o.get("text", "").splitlines()) for o in outputs)
    if len(lines) + printed > ROOM:
        raise chapter.error(
            cell.line,
            f"a slide has room for {ROOM} lines, but this cell shows {len(lines)} and "
            f"its output {printed}: choose some with the option `lines: 3-9`, or remove "
            "the tag `slide`",
        )
    source = textwrap.dedent("\n".join(lines))
    columns = max(map(len, source.splitlines()))
    is_large = len(lines) + printed <= LARGE[0] and columns <= LARGE[1] and not cell.alt
    metadata: dict[str, Any] = {"tags": ["large"]} if is_large else {}
    if cell.alt:
        metadata["mystnb"] = {"image": {"alt": cell.alt}}
    return nbformat.v4.new_code_cell(
        source, id=cell_id, metadata=metadata, outputs=outputs
    )


def _configuration() -> dict[str, Any]:
    """Sphinx's settings."""
    plugin = "revealjs/plugin/notes/notes.js"
    return {
        "extensions": [
            "sphinx_revealjs",
            "builder.sphinxext.formulas",
            "builder.sphinxext.moved",
            "builder.sphinxext.slides",
        ],
        "exclude_patterns": ["index.md"],  # replaced by the list of decks
        "html_math_renderer": "katex",
        "templates_path": [str(HERE / "templates" / "moved")],
        "nb_mime_priority_overrides": [
            ("revealjs", kind, i) for i, kind in enumerate(MIME_TYPES)
        ],
        "pygments_style": "a11y-high-contrast-light",
        "revealjs_static_path": [str(HERE / "static"), str(katex.folder() / "static")],
        "revealjs_css_files": ["pygments.css", "katex.min.css", "slides.css"],
        "revealjs_style_theme": "white",
        "revealjs_script_conf": REVEAL,
        "revealjs_script_plugins": [{"name": "RevealNotes", "src": plugin}],
    }
