"""Sphinx extension: a chapter's references as a list, each linked back to its uses.

Docutils gives them roles that ARIA has deprecated, and labels that no citation uses.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata


class ListReferences(SphinxPostTransform):
    """Turn sphinxcontrib-bibtex's containers of citations into lists."""

    default_priority = 800
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Replace the page's containers of citations."""
        citations = self.document.findall(nodes.citation)
        for parent in {id(node.parent): node.parent for node in citations}.values():
            items = [self._item(citation) for citation in parent]
            parent.replace_self(nodes.bullet_list("", *items, classes=["references"]))

    def _item(self, citation: nodes.citation) -> nodes.list_item:
        text = citation.next_node(nodes.paragraph)
        uses: dict[str, str] = {}  # the first one in each section
        for use in citation["backrefs"]:
            uses.setdefault(self._section(use), use)
        if uses:
            links = nodes.inline("", "Cited in ", classes=["uses"])
            for i, (number, use) in enumerate(uses.items()):
                links += nodes.Text(", " if i else "")
                links += nodes.reference("", number, refid=use, internal=True)
            text += [nodes.Text(" "), links]
        return nodes.list_item("", text, ids=citation["ids"])

    def _section(self, use: str) -> str:
        """The number of the section that contains the citation with the id `use`."""
        numbers = self.env.toc_secnumbers.get(self.env.docname, {})
        elements = self.document.findall(nodes.Element)
        node = next(element for element in elements if use in element["ids"])
        while node.parent and not isinstance(node, nodes.section):
            node = node.parent
        anchors = [*(f"#{name}" for name in node["ids"]), ""]
        number = next((numbers[a] for a in anchors if numbers.get(a)), None)
        return ".".join(map(str, number)) if number else "the text"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the transform."""
    app.add_post_transform(ListReferences)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
