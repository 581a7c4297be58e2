"""Sphinx extension: typographic dashes, dots and quotes, as in notebooks.

Sphinx's own transform also changes what code has shown and addresses, and takes the HTML
between two words for a letter.
"""

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxSmartQuotes
from sphinx.util.typing import ExtensionMetadata


class Typeset(SphinxSmartQuotes):
    """Sphinx's transform, on prose alone."""

    def is_available(self) -> bool:
        """In place of the one that the settings switch off."""
        return True

    def apply(self, **kwargs: Any) -> None:
        """Go through the page."""
        for node in self.document.findall(nodes.container):
            if node.get("nb_element") == "cell_code_output":
                node["support_smartquotes"] = False
        super().apply(**kwargs)

    def get_tokens(self, txtnodes: list[nodes.Text]) -> Iterator[tuple[str, str]]:
        """The texts of a paragraph, each with its kind."""
        for node, (kind, text) in zip(
            txtnodes, super().get_tokens(txtnodes), strict=True
        ):
            if isinstance(node.parent, nodes.raw) and not text.endswith("\n"):
                kind = "tag"  # on which no quote depends
            elif isinstance(node.parent, nodes.reference):
                kind = "literal" if node.parent.get("refuri") == text else kind
            yield kind, text


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the transform; settings switch off Sphinx's."""
    app.add_transform(Typeset)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
