"""The site: Sphinx renders the merged notebooks, with tabs and a choice of framework."""

from collections.abc import Mapping
from functools import cached_property
from json import dumps
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from builder.notebooks import downloads
from builder.notebooks.edition import Edition
from builder.publishing import groups, others, parts, sphinx_build
from builder.publishing.parts import Part
from builder.publishing.sphinx_source import Source
from builder.source import pages as book_pages
from builder.source import repository
from builder.source.book import Book
from builder.source.repository import Repository
from builder.source.settings import read_settings
from builder.sphinxext import katex, library
from d2lext.core.frameworks import TITLES

HERE = Path(__file__).parent
SCRIPTS = ("cards", "downloads", "drawers", "scrolling", "steps")
# The repository's mark in the page's footer: two branches that merge.
MARK = (
    '<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5">'
    '<path d="M4 4.5v7M4.5 11.5C4.5 8 11 9.5 11.5 6"/><circle cx="4" cy="3" r="1.6"/>'
    '<circle cx="4" cy="13" r="1.6"/><circle cx="12" cy="4.5" r="1.6"/></svg>'
)

Notebooks = Mapping[str, NotebookNode]  # by page, or by framework


class Site:
    """The site of `book` in the folder `out`, from its recorded notebooks."""

    def __init__(self, book: Book, out: Path) -> None:
        self.book, self.out = book, out

    @cached_property
    def parts(self) -> dict[str, Part]:
        """What it has of each chapter."""
        return parts.of_book(self.book, _work(self.out) / "parts")

    @cached_property
    def stale(self) -> list[Edition]:
        """The editions that it shows with outputs of different code."""
        return [
            Edition(self.book, chapter, backend)
            for chapter in self.book.chapters
            for backend in self.parts[chapter.stem].stale
        ]

    def write(self) -> Path:
        """Write it; return its front page."""
        return _write(self.book.root, self.out, self.parts)


def build(
    root: Path,
    out: Path,
    pages: Notebooks,
    offered: Mapping[str, Notebooks] | None = None,
) -> Path:
    """Write the merged notebooks `pages` and the front page; return its path.

    `offered` are the notebooks that each page offers to download, by framework. Raises
    BookError with all of Sphinx's warnings, each at its line of the chapter.
    """
    offered = offered or {}
    made = {
        name: parts.of_page(root, name, page, offered.get(name, {}), [])
        for name, page in pages.items()
    }
    return _write(root, out, made)


def _write(root: Path, out: Path, made: Mapping[str, Part]) -> Path:
    pages = {name: part.page for name, part in made.items()}
    # Without it, GitHub Pages would hide what begins with _, such as styles.
    copied: dict[str, str | bytes] = {".nojekyll": ""}
    for name, part in made.items():
        for backend, text in part.offered.items():
            path = downloads.path(name, backend)
            copied[path] = text
            # For static/downloads.js.
            copied[f"{path.removesuffix('ipynb')}js"] = f"saveNotebook({dumps(text)})\n"
    moved = book_pages.moved(root, made)
    for old, new in moved.items():
        for backend in made[new].offered if new in made else ():
            copied[downloads.path(old, backend)] = made[new].offered[backend]
    built = others.files(out.parent)
    added = book_pages.added(root)
    configuration = _configuration(read_settings(root), made, built)
    configuration |= {"book_added": added, "book_redirects": moved}
    source = Source(
        *(root, pages, configuration, copied | built),
        added=added,
        beside=groups.of_book(root),
    )
    with sphinx_build.alone(out, _work(out)):
        sphinx_build.build(source, out, _work(out))
    return out / "index.html"


def _work(out: Path) -> Path:
    return out.with_name("work") / "site"


def _configuration(
    settings: Mapping[str, Any], made: Mapping[str, Part], built: Mapping[str, bytes]
) -> dict[str, Any]:
    """Sphinx's settings."""
    repo = repository.of(settings)
    footer = []
    if repo:
        footer = [{"name": "Source", "url": repo.address, "html": MARK, "class": ""}]
    return {
        "extensions": [
            "sphinx_copybutton",
            "builder.sphinxext.api",
            "builder.sphinxext.formulas",
            "builder.sphinxext.excerpts",
            "builder.sphinxext.headings",
            "builder.sphinxext.moved",
            "builder.sphinxext.navigation",
            "builder.sphinxext.references",
            "builder.sphinxext.tabs",
        ],
        "html_math_renderer": "katex",
        "html_theme": "furo",
        "html_title": settings["title"],
        "html_static_path": [str(HERE / "static"), str(katex.folder() / "static")],
        "templates_path": [str(HERE / "templates"), str(HERE / "templates" / "moved")],
        "html_css_files": ["katex.min.css", "book.css", "front.css", "reference.css"],
        "html_js_files": [(f"{name}.js", {"defer": ""}) for name in SCRIPTS],
        "html_favicon": str(HERE / "static" / "favicon.svg"),
        "book_library": library.version(),
        "book_source": repo.folder if repo else "",
        "python_maximum_signature_line_length": 60,
        "myst_heading_anchors": 3,  # for links between guides
        "book_numbers": {n: part.numbers for n, part in made.items() if part.numbers},
        "book_about": {name: part.about for name, part in made.items()},
        "html_context": {
            **_context(made, built, repo),
            "byline": settings.get("byline", ""),
        },
        "html_secnumber_suffix": " ",
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_use_index": False,
        "pygments_style": "a11y-high-contrast-light",
        "pygments_dark_style": "a11y-high-contrast-dark",
        "html_theme_options": {
            "top_of_page_buttons": [],
            "footer_icons": footer,
            "light_css_variables": {
                "color-brand-primary": "#17406d",
                "color-brand-content": "#1a5a9e",
            },
            "dark_css_variables": {
                "color-brand-primary": "#8dbbea",
                "color-brand-content": "#8dbbea",
            },
        },
        # Buttons copy code, not its output.
        "copybutton_selector": "div:not(.output) > div.highlight > pre",
    }


def _context(
    made: Mapping[str, Part], built: Mapping[str, bytes], repo: Repository | None
) -> dict[str, Any]:
    """What templates show: frameworks with tabs; by page, its notebooks and source."""
    offers = {
        name: [
            {
                "backend": backend,
                "title": TITLES[backend],
                "path": path,
                "saved_as": saved_as,
                "run": repo.run(f"notebooks/{backend}/{name}.ipynb") if repo else [],
            }
            for backend in part.offered
            for path, saved_as in [others.notebook(name, backend, part)]
        ]
        for name, part in made.items()
    }
    sources = {
        name: repo.read(f"chapters/{name}.md", part.title) if repo else []
        for name, part in made.items()
    }
    tabs = {backend for part in made.values() for backend in part.tabs}
    return {
        "frameworks": [(b, title) for b, title in TITLES.items() if b in tabs],
        "offers": offers,
        "sources": sources,
        "decks": {name: others.decks(name, built) for name in made},
        "buttons": others.buttons(made, built),
    }
