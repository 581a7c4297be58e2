"""Sphinx extension: a caption of a table of contents is a heading of a certain level.

Sphinx 9.0 and Furo give it the role, but not the level, without which ARIA has no
heading.
"""

ROLE = 'role="heading"'


def _add_levels(app, pagename, templatename, context, doctree):
    for name in ("body", "furo_navigation_tree"):
        if context.get(name):
            context[name] = context[name].replace(ROLE, f'{ROLE} aria-level="2"')


def setup(app):
    """Register it to come after Furo, which writes its navigation in the same event."""
    app.connect("html-page-context", _add_levels, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
