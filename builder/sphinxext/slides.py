"""Sphinx extension: what slides show otherwise than sphinx-revealjs does.

Sphinx highlights code, as on the site, and not a script in the browser. A reference to
what is in the book, but on no slide, shows its number or title.
"""

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator
from sphinx_revealjs.writers import RevealjsSlideTranslator


class Translator(RevealjsSlideTranslator):
    """Slides whose code Sphinx highlights."""

    visit_literal_block = HTML5Translator.visit_literal_block
    depart_literal_block = HTML5Translator.depart_literal_block


def _from_book(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.inline | None:
    """What a reference shows that leads to no slide; None if the book has no such label."""
    label = app.config.book_labels.get(node["reftarget"])
    if label is None:
        return None
    kind, number, title = label
    given = content.astext() if node.get("refexplicit") else ""
    shown = {
        "eq": f"({number})",
        "numref": (given or f"{kind} %s").replace("%s", number),
        "ref": given or title,
    }
    return nodes.inline("", shown[node["reftype"]])


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the translator, and the book's labels: their kind, number and title."""
    app.add_config_value("book_labels", {}, "env", dict)
    app.connect("missing-reference", _from_book)
    app.set_translator("revealjs", Translator)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
