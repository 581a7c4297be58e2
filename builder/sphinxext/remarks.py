"""Sphinx extension: a note, tip, warning or important remark may have a title of its own.

Docutils takes what follows the name on its line for the beginning of the text.
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.latex import LaTeXTranslator

from builder.source import prose


class Remark(prose.Remark):
    """A remark of one of these kinds; with a title, an admonition of that class."""

    def run(self) -> list[nodes.Node]:
        """Make its node."""
        if self.arguments:
            self.node_class = nodes.admonition
            self.options["class"] = [*self.options.get("class", []), self.name]
        else:
            self.node_class = getattr(nodes, self.name)
        return super().run()


def _visit(translator: LaTeXTranslator, node: nodes.admonition) -> None:
    kind = next(name for name in node["classes"] if name in prose.REMARKS)
    translator.body.append(f"\n\\begin{{sphinxadmonition}}{{{kind}}}")


def _depart(translator: LaTeXTranslator, node: nodes.admonition) -> None:
    translator.body.append("\\end{sphinxadmonition}\n")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directives; print frames each kind of remark in its own way."""
    for name in prose.REMARKS:
        app.add_directive(name, Remark, override=True)
    app.add_node(nodes.admonition, override=True, latex=(_visit, _depart))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
