"""The site: merged notebooks through Sphinx, with tabs and a choice of framework."""

from pathlib import Path

from d2lext.book import backends, formulas, sphinx_build

HERE = Path(__file__).parent
# The repository's mark in the foot of the page: two branches that meet.
MARK = (
    '<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5">'
    '<path d="M4 4.5v7M4.5 11.5C4.5 8 11 9.5 11.5 6"/><circle cx="4" cy="3" r="1.6"/>'
    '<circle cx="4" cy="13" r="1.6"/><circle cx="12" cy="4.5" r="1.6"/></svg>'
)


def build(root, out, pages):
    """Write `pages` (name -> merged notebook) and the front page; return its path.

    Raises BookError with everything that Sphinx warned of, by line of the chapter.
    """
    settings = sphinx_build.settings(Path(root) / "chapters" / "book.toml")
    configuration = _configuration(settings, pages)
    sphinx_build.build(root, out, "site", pages, configuration)
    return Path(out).resolve() / "index.html"


def _configuration(settings, pages):
    """Sphinx's settings."""
    shared = sphinx_build.configuration(settings)
    repository = settings.get("repository")
    footer = {"name": "Source", "url": repository, "html": MARK, "class": ""}
    return {
        **shared,
        "extensions": [
            *shared["extensions"],
            "sphinx_copybutton",
            "d2lext.book.formulas",
            "d2lext.book.sphinx_tabs",
        ],
        "html_math_renderer": "katex",
        "html_theme": "furo",
        "html_title": settings["title"],
        "html_static_path": [str(HERE / "static"), str(formulas.files() / "static")],
        "templates_path": [str(HERE / "templates")],
        "html_css_files": ["katex.min.css", "book.css"],
        "html_favicon": str(HERE / "static" / "favicon.svg"),
        "html_context": {"frameworks": _frameworks(pages)},
        "html_secnumber_suffix": " ",
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_use_index": False,
        "pygments_style": "a11y-high-contrast-light",
        "pygments_dark_style": "a11y-high-contrast-dark",
        "html_theme_options": {
            "top_of_page_buttons": [],
            "footer_icons": [footer] if repository else [],
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
    titles = backends.TITLES.items()
    return [(name, title) for name, title in titles if f"tab-{name}" in tags]
