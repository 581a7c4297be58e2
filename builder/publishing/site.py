"""The site: Sphinx renders the merged notebooks, with tabs and a choice of framework."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from builder.notebooks import colab, downloads
from builder.notebooks.edition import editions
from builder.publishing import sphinx_build, tabs
from builder.publishing.sphinx_source import Source
from builder.source import repository
from builder.source.book import Book
from builder.source.prose import Prose
from builder.source.repository import Repository
from builder.source.settings import read_settings
from builder.sphinxext import katex
from d2lext.core.frameworks import TITLES

HERE = Path(__file__).parent
SCRIPTS = ("cards", "drawers", "scrolling")
# The repository's mark in the page's footer: two branches that merge.
MARK = (
    '<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5">'
    '<path d="M4 4.5v7M4.5 11.5C4.5 8 11 9.5 11.5 6"/><circle cx="4" cy="3" r="1.6"/>'
    '<circle cx="4" cy="13" r="1.6"/><circle cx="12" cy="4.5" r="1.6"/></svg>'
)

Notebooks = Mapping[str, NotebookNode]  # by page, or by framework


def write(book: Book, out: Path) -> Path:
    """Write the site of `book` from its recorded notebooks; return its front page."""
    pages, offered = {}, {}
    for chapter in book.chapters:
        recorded = list(editions(book, [chapter]))
        pages[chapter.stem] = tabs.merged(recorded)
        offered[chapter.stem] = {
            edition.backend: colab.with_cell(
                edition.notebook, book.root, edition.backends
            )
            # The notebooks of a shared chapter are equal, so only one is offered.
            for edition in recorded[: 1 if chapter.is_shared else None]
        }
    return build(book.root, out, pages, offered)


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
    configuration = _configuration(read_settings(root), pages, offered)
    copied = downloads.texts(root, offered)
    source = Source(root, pages, configuration, copied, added=["authors"])
    sphinx_build.build(source, out, work=out.with_name("work") / "site")
    return out / "index.html"


def _configuration(
    settings: Mapping[str, Any], pages: Notebooks, offered: Mapping[str, Notebooks]
) -> dict[str, Any]:
    """Sphinx's settings."""
    repo = repository.of(settings)
    footer = []
    if repo:
        footer = [{"name": "Source", "url": repo.address, "html": MARK, "class": ""}]
    return {
        "extensions": [
            "sphinx_copybutton",
            "builder.sphinxext.formulas",
            "builder.sphinxext.excerpts",
            "builder.sphinxext.headings",
            "builder.sphinxext.references",
            "builder.sphinxext.tabs",
        ],
        "html_math_renderer": "katex",
        "html_theme": "furo",
        "html_title": settings["title"],
        "html_static_path": [str(HERE / "static"), str(katex.folder() / "static")],
        "templates_path": [str(HERE / "templates")],
        "html_css_files": ["katex.min.css", "book.css"],
        "html_js_files": [(f"{name}.js", {"defer": ""}) for name in SCRIPTS],
        "html_favicon": str(HERE / "static" / "favicon.svg"),
        "html_context": _context(pages, offered, repo),
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
    pages: Notebooks, offered: Mapping[str, Notebooks], repo: Repository | None
) -> dict[str, Any]:
    """What templates show: frameworks with tabs; by page, its notebooks and source."""
    cells = [cell for page in pages.values() for cell in page.cells]
    tags = {tag for cell in cells for tag in cell.metadata.get("tags", [])}
    offers = {
        name: [
            {
                "backend": backend,
                "title": TITLES[backend],
                "path": downloads.path(name, backend),
                "saved_as": f"{name}-{backend}.ipynb" if len(notebooks) > 1 else "",
                "run": repo.run(f"notebooks/{backend}/{name}.ipynb") if repo else [],
            }
            for backend in notebooks
        ]
        for name, notebooks in offered.items()
    }
    sources = {}
    for name, page in pages.items():
        headings = Prose(page.cells[0].source).of("heading")
        text = headings[0].content if headings else name
        sources[name] = repo.read(f"chapters/{name}.md", text) if repo else []
    return {
        "frameworks": [(b, title) for b, title in TITLES.items() if f"tab-{b}" in tags],
        "offers": offers,
        "sources": sources,
    }
