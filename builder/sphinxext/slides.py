"""Sphinx extension: slides with code highlighted as on the site, and not by a script."""

from sphinx.writers.html5 import HTML5Translator
from sphinx_revealjs.writers import RevealjsSlideTranslator


class Translator(RevealjsSlideTranslator):
    """Slides whose code is highlighted by Sphinx."""

    visit_literal_block = HTML5Translator.visit_literal_block
    depart_literal_block = HTML5Translator.depart_literal_block


def setup(app):
    """Register the translator."""
    app.set_translator("revealjs", Translator)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
