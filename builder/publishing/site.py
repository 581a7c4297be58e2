"""The site: merged notebooks through Sphinx, with tabs and a choice of framework."""

import re
from pathlib import Path

from builder.notebooks import colab, downloads
from builder.notebooks.edition import editions
from builder.publishing import sphinx_build, tabs
from builder.source import repository
from builder.source.settings import read_settings
from builder.sphinxext import katex
from d2lext.core import frameworks

HERE = Path(__file__).parent
# The repository's mark in the foot of the page: two branches that meet.
MARK = (
    '<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5">'
    '<path d="M4 4.5v7M4.5 11.5C4.5 8 11 9.5 11.5 6"/><circle cx="4" cy="3" r="1.6"/>'
    '<circle cx="4" cy="13" r="1.6"/><circle cx="12" cy="4.5" r="1.6"/></svg>'
)


def write(book, out):
    """Write the site of `book` from its recorded notebooks; return its front page."""
    pages, offered = {}, {}
    for chapter in book.chapters:
        own = list(editions(book, [chapter]))
        pages[chapter.stem] = tabs.merged(own)
        offered[chapter.stem] = {
            edition.backend: colab.with_cell(
                edition.notebook, book.root, edition.backends
            )
            # A shared one is equal for every framework, so one is offered.
            for edition in own[: 1 if chapter.is_shared else None]
        }
    return build(book.root, out, pages, offered)


def build(root, out, pages, notebooks=None):
    """Write `pages` (name -> merged notebook) and the front page; return its path.

    `notebooks` (name -> backend -> notebook) can be downloaded from their pages. Raises
    BookError with everything that Sphinx warned of, by line of the chapter.
    """
    root, notebooks = Path(root), notebooks or {}
    settings = read_settings(root)
    configuration = _configuration(settings, pages, notebooks)
    extra = downloads.texts(root, notebooks)
    out = Path(out).resolve()
    work = out.with_name("work") / "site"
    sphinx_build.build(
        root, out, work, pages, configuration, extra=extra, more=["authors"]
    )
    return out / "index.html"


def _configuration(settings, pages, notebooks):
    """Sphinx's settings."""
    shared = sphinx_build.configuration(settings)
    source = repository.of(settings)
    return {
        **shared,
        "extensions": [
            *shared["extensions"],
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
        "html_js_files": [
            (f"{name}.js", {"defer": ""}) for name in ("cards", "drawers", "scrolling")
        ],
        "html_favicon": str(HERE / "static" / "favicon.svg"),
        "html_context": {
            "frameworks": _frameworks(pages),
            "offers": {n: _offers(n, own, source) for n, own in notebooks.items()},
            "sources": {name: _sources(name, pages[name], source) for name in pages},
        },
        "html_secnumber_suffix": " ",
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_use_index": False,
        "pygments_style": "a11y-high-contrast-light",
        "pygments_dark_style": "a11y-high-contrast-dark",
        "html_theme_options": {
            "top_of_page_buttons": [],
            "footer_icons": [_footer(source)] if source else [],
            "light_css_variables": {
                "color-brand-primary": "#17406d",
                "color-brand-content": "#1a5a9e",
            },
            "dark_css_variables": {
                "color-brand-primary": "#8dbbea",
                "color-brand-content": "#8dbbea",
            },
        },
        # Code is copied, what it printed is not.
        "copybutton_selector": "div:not(.output) > div.highlight > pre",
    }


def _frameworks(pages):
    """Id and title of each framework that has cells of its own on some page."""
    tags = {
        tag
        for notebook in pages.values()
        for cell in notebook.cells
        for tag in cell.metadata.get("tags", [])
    }
    titles = frameworks.TITLES.items()
    return [(name, title) for name, title in titles if f"tab-{name}" in tags]


def _offers(name, notebooks, source):
    """What a page says of each of its notebooks."""
    return [
        {
            "backend": backend,
            "title": frameworks.TITLES[backend],
            "path": downloads.path(name, backend),
            "saved_as": f"{name}-{backend}.ipynb" if len(notebooks) > 1 else "",
            "run": source.run(f"notebooks/{backend}/{name}.ipynb") if source else [],
        }
        for backend in notebooks
    ]


def _sources(name, page, source):
    """Links to the chapter `name` in the repository, if there is one."""
    title = re.search(r"^# (.+)$", page.cells[0].source, re.MULTILINE)
    text = title[1] if title else name
    return source.read(f"chapters/{name}.md", text) if source else []


def _footer(source):
    return {"name": "Source", "url": source.address, "html": MARK, "class": ""}
