"""The slides of a lecture: for each framework one deck a chapter, in reveal.js.

Cells tagged `slide` make them. A text so tagged is shown in lectures alone; a heading
`## …` in it begins a slide. Code so tagged is shown with its recorded output, and whole
or as its option `lines` says. Text tagged `notes` is for the lecturer's own screen.
"""

import textwrap
from pathlib import Path

import nbformat

from builder.errors import BookError
from builder.notebooks.edition import editions
from builder.publishing import sphinx_build, tabs
from builder.source.settings import read_settings
from builder.sphinxext import katex
from d2lext.core import frameworks

HERE = Path(__file__).parent
ROOM = 18  # lines of code and of text output, of the 79 columns that code has
LARGE = (13, 66)  # lines and columns, of code that fits in larger letters, too
# myst-nb knows what other builders show.
MIME_TYPES = ("image/svg+xml", "image/png", "image/jpeg", "text/html", "text/plain")
REVEAL = {
    "width": 1280,
    "height": 720,
    "margin": 0,
    "center": False,
    "controlsLayout": "edges",
    "hash": True,
    "slideNumber": "c/t",
    "transition": "none",
    "pdfMaxPagesPerSlide": 1,
}


def build(book, out, backend):
    """Write the decks for `backend` into the folder `out`; return its first page."""
    settings = read_settings(book.root)
    pages = {
        edition.chapter.stem: deck(edition)
        for edition in editions(book, backends=[backend])
        if any("slide" in cell.tags for cell in edition.chapter.lecture)
    }
    if not pages:
        raise BookError(
            "no chapter has slides: tag cells with `slide` in chapters/*.md"
        )
    pages["index"] = _front(settings, list(pages), backend)
    work = out.parent.with_name("work") / f"slides-{backend}"
    configuration = _configuration(settings)
    sphinx_build.build(book.root, out, work, pages, configuration, builder="revealjs")
    return out / "index.html"


def deck(edition):
    """The slides of a chapter as a notebook in MyST, a section a slide."""
    chapter, backend = edition.chapter, edition.backend
    pairs = edition.pairs()
    outputs = {cell.line: shown.get("outputs", []) for cell, shown in pairs}
    cells = [_markdown("title", f"# {chapter.title}\n\n{frameworks.TITLES[backend]}")]
    for i, cell in enumerate(chapter.lecture):
        shown = "slide" in cell.tags or cell.is_for_lectures
        if backend not in cell.backends or not shown:
            continue
        if cell.kind == "markdown" and "notes" in cell.tags:
            text = f"::::::{{revealjs-notes}}\n{cell.source}\n::::::"
            cells.append(_markdown(f"notes-{i}", text))
        elif cell.kind == "markdown":
            cells.append(_markdown(f"slide-{i}", cell.source))
        else:
            cells.append(_code(f"code-{i}", chapter, cell, outputs[cell.line]))
    return tabs.of_cells(cells)


def _front(settings, names, backend):
    """The slide that leads to the decks."""
    links = "\n".join(f"- {{doc}}`{name}`" for name in names)
    listed = "\n".join(["", ":hidden:", "", *names, ""])
    text = f"# {settings['title']}\n\n{frameworks.TITLES[backend]}\n\n{links}\n\n"
    text += f":::{{toctree}}{listed}:::\n"
    return tabs.of_cells([_markdown("front", text)])


def _markdown(cell_id, text):
    return nbformat.v4.new_markdown_cell(text, id=cell_id)


def _code(cell_id, chapter, cell, outputs):
    """The part of a cell that its slide shows, if there is room for it."""
    lines = cell.source.splitlines()
    if cell.lines:
        lines = lines[cell.lines[0] - 1 : cell.lines[1]]
    shown = sum(len(o.get("text", "").splitlines()) for o in outputs)
    if len(lines) + shown > ROOM:
        raise chapter.error(
            cell.line,
            f"a slide has room for {ROOM} lines, but this cell shows {len(lines)} and "
            f"its output {shown}: choose some with the option `lines: 3-9`, or remove "
            "the tag `slide`",
        )
    source = textwrap.dedent("\n".join(lines))
    columns = max(map(len, source.splitlines()))
    is_large = len(lines) + shown <= LARGE[0] and columns <= LARGE[1] and not cell.alt
    metadata = {"tags": ["large"]} if is_large else {}
    if cell.alt:
        metadata["mystnb"] = {"image": {"alt": cell.alt}}
    return nbformat.v4.new_code_cell(
        source, id=cell_id, metadata=metadata, outputs=outputs
    )


def _configuration(settings):
    """Sphinx's settings."""
    shared = sphinx_build.configuration(settings)
    plugin = "revealjs/plugin/notes/notes.js"
    return {
        **shared,
        "extensions": [
            *shared["extensions"],
            "sphinx_revealjs",
            "builder.sphinxext.formulas",
            "builder.sphinxext.slides",
        ],
        "exclude_patterns": ["index.md"],  # ours is the list of decks
        "html_math_renderer": "katex",
        "nb_mime_priority_overrides": [
            ("revealjs", kind, i) for i, kind in enumerate(MIME_TYPES)
        ],
        "pygments_style": "a11y-high-contrast-light",
        "revealjs_static_path": [
            str(HERE / "static"),
            str(katex.folder() / "static"),
        ],
        "revealjs_css_files": ["pygments.css", "katex.min.css", "slides.css"],
        "revealjs_style_theme": "white",
        "revealjs_script_conf": REVEAL,
        "revealjs_script_plugins": [{"name": "RevealNotes", "src": plugin}],
    }
