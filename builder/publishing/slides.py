"""The slides of a lecture: one reveal.js deck per framework and chapter.

They consist of the cells tagged `slide`. Prose with this tag appears in lectures only; a
heading `## …` in it starts a slide. Code with it appears in full or as its option `lines`
selects, with its recorded output, which `reveal` keeps back for the next key. Prose
tagged `notes` is for the lecturer.
"""

import textwrap
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from math import ceil
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
ROOM, COLUMNS = 18, 79  # lines of code and text output, and their columns
LARGE = (13, 66)  # lines and columns that fit in larger type, too
PLOT = 7  # lines that a plot takes at least; it grows into what room is left
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
    shown = [
        (i, cell)
        for i, cell in enumerate(chapter.lecture)
        if edition.backend in cell.backends
        and ("slide" in cell.tags or cell.is_for_lectures)
    ]
    numbers = [*accumulate(_starts_slide(cell) for _, cell in shown)]
    lines: Counter[int] = Counter()  # that code and outputs take, by slide
    for number, (_, cell) in zip(numbers, shown, strict=True):
        if cell.kind == "code":
            lines[number] += _height(cell, outputs[cell.line])
            if lines[number] > ROOM:
                raise chapter.error(
                    cell.line,
                    f"a slide has room for {ROOM} lines, but code and output of this one "
                    f"take {lines[number]}: choose some with the option `lines: 3-9`, "
                    "show the output alone with `lines: none`, or remove the tag `slide`",
                )
    for number, (i, cell) in zip(numbers, shown, strict=True):
        if cell.kind == "markdown":
            text = markdown.with_references(
                cell.prose, chapter, edition.book, edition.backend
            )
            if "notes" in cell.tags:
                text = f"::::::{{revealjs-notes}}\n{text}\n::::::"
            kind = "notes" if "notes" in cell.tags else "slide"
            cells.append(_markdown(f"{kind}-{i}", text))
        else:
            is_large = lines[number] <= LARGE[0]
            cells.append(_code(f"code-{i}", cell, outputs[cell.line], is_large))
    return sphinx_source.notebook(cells)


def _front(title: str, names: Sequence[str], backend: str) -> NotebookNode:
    """The slide that links to the decks."""
    links = "\n".join(f"- {{doc}}`{name}`" for name in names)
    entries = "\n".join(["", ":hidden:", "", *names, ""])
    text = f"# {title}\n\n{TITLES[backend]}\n\n{links}\n\n:::{{toctree}}{entries}:::\n"
    return sphinx_source.notebook([_markdown("front", text)])


def _markdown(cell_id: str, text: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(text, id=cell_id)


def _starts_slide(cell: Cell) -> bool:
    """Whether the cell has a heading that begins a slide."""
    return cell.kind == "markdown" and any(e.level == 2 for e in cell.prose.elements)


def _lines(cell: Cell) -> list[str]:
    """The lines of code that the cell's slide shows."""
    lines = cell.source.splitlines()
    return lines if cell.lines is None else lines[cell.lines[0] - 1 : cell.lines[1]]


def _printed(output: NotebookNode) -> list[str]:
    """The lines of an output that is text."""
    text = output.get("text") or output.get("data", {}).get("text/plain", "")
    return text.splitlines()


def _height(cell: Cell, outputs: Sequence[NotebookNode]) -> int:
    """How many lines of its slide the cell takes at least, with its outputs."""
    plots = [output for output in outputs if _is_plot(output)]
    texts = [output for output in outputs if not _is_plot(output)]
    printed = sum(
        max(1, ceil(len(line) / COLUMNS)) for text in texts for line in _printed(text)
    )
    # Beside a plot, the text printed with it is small.
    return len(_lines(cell)) + (max(PLOT, printed) if plots else printed)


def _is_plot(output: NotebookNode) -> bool:
    return any(kind.startswith("image/") for kind in output.get("data", {}))


def _code(
    cell_id: str, cell: Cell, outputs: Sequence[NotebookNode], is_large: bool
) -> NotebookNode:
    """The part of a cell that its slide shows, in large type if its lines are short."""
    source = textwrap.dedent("\n".join(_lines(cell)))
    texts = [line for output in outputs for line in _printed(output)]
    columns = max(map(len, [*source.splitlines(), *texts]), default=0)
    tags = {
        "large": is_large and columns <= LARGE[1] and not cell.alt,
        "remove-input": not source,
        "reveal": cell.reveal,
    }
    metadata: dict[str, Any] = {"tags": [tag for tag, is_set in tags.items() if is_set]}
    if cell.alt:
        metadata["mystnb"] = {"image": {"alt": cell.alt}}
    # myst-nb drops a cell without source, so one that shows none keeps it, out of sight.
    return nbformat.v4.new_code_cell(
        source or cell.source, id=cell_id, metadata=metadata, outputs=outputs
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
