"""Sphinx extension: the book's contents beside each page, other pages at its foot.

Chapters are listed with their sections, other pages by their titles. Those at the foot
are in no table of contents.
"""

from functools import cache
from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes
from furo.navigation import get_navigation_tree
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

DEPTH = 2  # of the contents: chapters and their sections


def _contents(
    app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Replace Furo's contents, which have pages alone, and add what a page's foot has."""
    if "toctree" in context:
        tree = context["toctree"](
            collapse=False, titles_only=False, maxdepth=DEPTH, includehidden=True
        )
        chapters = {
            app.builder.get_relative_uri(name, c) for c in app.config.book_cards
        }
        tree = get_navigation_tree(_with_sections(tree, frozenset(chapters)))
        # All closed: the page's own sections are on its other side.
        context["furo_navigation_tree"] = tree.replace(' checked=""', "")
    titles = app.env.titles
    context["more_pages"] = [
        (page, titles[page].astext())
        for page in app.config.book_added
        if page in titles
    ]


@cache
def _with_sections(tree: str, chapters: frozenset[str]) -> str:
    """The `tree` with the sections of these `chapters` alone."""
    soup = BeautifulSoup(tree, "html.parser")
    for item in soup.select("li.toctree-l1"):
        link = item.find("a")
        address = str(link["href"]).rstrip("#") if link else ""  # # is this page
        if item.ul and address not in chapters:
            item.ul.decompose()
    return str(soup)


def _orphan(app: Sphinx, document: nodes.document) -> None:
    """Tell Sphinx that a page is meant to be in no table of contents."""
    if app.env.docname in app.config.book_added:
        app.env.metadata[app.env.docname]["orphan"] = True


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the setting: the pages that only the site has. Runs after Furo."""
    app.add_config_value("book_added", [], "env", list)
    app.connect("html-page-context", _contents, priority=850)
    app.connect("doctree-read", _orphan)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
