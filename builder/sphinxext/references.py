"""Sphinx extension: a chapter's references as a list, each with links back to its uses.

Docutils writes roles for it that ARIA has given up, and labels that nobody cites by.
"""

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform


class ListReferences(SphinxPostTransform):
    """Make lists of what sphinxcontrib-bibtex made: containers of citations."""

    default_priority = 800
    formats = ("html",)

    def run(self):
        """Replace the page's containers of citations."""
        citations = self.document.findall(nodes.citation)
        for parent in {id(node.parent): node.parent for node in citations}.values():
            items = [self._item(citation) for citation in parent]
            parent.replace_self(nodes.bullet_list("", *items, classes=["references"]))

    def _item(self, citation):
        text = citation.next_node(nodes.paragraph)
        uses = {}  # by section: its first one
        for use in citation["backrefs"]:
            uses.setdefault(self._section(use), use)
        if uses:
            links = nodes.inline("", "Cited in ", classes=["uses"])
            for i, (number, use) in enumerate(uses.items()):
                links += nodes.Text(", " if i else "")
                links += nodes.reference("", number, refid=use, internal=True)
            text += [nodes.Text(" "), links]
        return nodes.list_item("", text, ids=citation["ids"])

    def _section(self, use):
        """The number of the section in which the citation with the id `use` stands."""
        numbers = self.env.toc_secnumbers.get(self.env.docname, {})
        elements = self.document.findall(nodes.Element)
        node = next(element for element in elements if use in element["ids"])
        while node.parent and not isinstance(node, nodes.section):
            node = node.parent
        anchors = [f"#{name}" for name in node["ids"]]
        found = [numbers[a] for a in anchors if a in numbers] or [numbers.get("")]
        return ".".join(map(str, found[0])) if found[0] else "the text"


def setup(app):
    """Register the transform."""
    app.add_post_transform(ListReferences)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
