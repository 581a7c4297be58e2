"""Sphinx extension: the former address of a page leads to it.

The framework and the section that an address names stay. Pages without a server cannot
be redirected otherwise.
"""

from collections.abc import Iterator

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata


def _pages(app: Sphinx) -> Iterator[tuple[str, dict[str, str], str]]:
    for old, new in app.config.book_redirects.items():
        target = app.builder.get_relative_uri(old, new)
        title = app.env.titles[new].astext()
        yield old, {"target": target, "title": title}, "moved.html"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the setting: the new names of pages by their former ones."""
    app.add_config_value("book_redirects", {}, "", dict)
    app.connect("html-collect-pages", _pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
