"""Sphinx extension: the code on slides, and outputs that come with the next key.

Code is highlighted by Sphinx, as on the site; otherwise sphinx-revealjs leaves it to a
script in the browser.
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator
from sphinx_revealjs.writers import RevealjsSlideTranslator


class Translator(RevealjsSlideTranslator):
    """Slides whose code Sphinx highlights."""

    visit_literal_block = HTML5Translator.visit_literal_block
    depart_literal_block = HTML5Translator.depart_literal_block


class RevealOutputs(SphinxTransform):
    """Make the outputs of cells tagged `reveal` fragments, which paper shows at once."""

    default_priority = 210

    def apply(self) -> None:
        """Go through the deck's cells."""
        for cell in self.document.findall(nodes.container):
            if "tag_reveal" in cell["classes"]:
                for part in cell.children:
                    if "cell_output" in part["classes"]:
                        part["classes"].append("fragment")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the translator and the transform."""
    app.set_translator("revealjs", Translator)
    app.add_transform(RevealOutputs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
