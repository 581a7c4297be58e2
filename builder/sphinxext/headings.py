"""Sphinx extension: gives the captions of tables of contents a heading level.

Sphinx 9.0 and Furo mark them as headings, but without the level that ARIA requires.
"""

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

ROLE = 'role="heading"'


def _add_levels(app, pagename, templatename, context, doctree):
    for name in ("body", "furo_navigation_tree"):
        if context.get(name):
            context[name] = context[name].replace(ROLE, f'{ROLE} aria-level="2"')


def setup(app: Sphinx) -> ExtensionMetadata:
    """Run after Furo, which writes its navigation on the same event."""
    app.connect("html-page-context", _add_levels, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
