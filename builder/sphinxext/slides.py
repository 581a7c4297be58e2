"""Sphinx extension: code on slides is highlighted by Sphinx, as on the site.

Otherwise sphinx-revealjs leaves it to a script in the browser.
"""

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator
from sphinx_revealjs.writers import RevealjsSlideTranslator


class Translator(RevealjsSlideTranslator):
    """Slides whose code Sphinx highlights."""

    visit_literal_block = HTML5Translator.visit_literal_block
    depart_literal_block = HTML5Translator.depart_literal_block


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the translator."""
    app.set_translator("revealjs", Translator)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
