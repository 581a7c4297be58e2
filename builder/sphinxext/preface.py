"""Sphinx extension: in print the front page is a preface, its sections no chapters."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.typing import ExtensionMetadata

WIDTH = "65%"  # of pictures, which would take half of the page


class Preface(SphinxTransform):
    """Replace the sections of the front page by their headings and content."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        """Go through the front page."""
        if self.env.docname != self.config.root_doc:
            return
        for section in [*self.document.findall(nodes.section)][:0:-1]:
            title, *content = section.children
            heading = nodes.rubric("", "", *title.children)
            section.replace_self([heading, *content])
        for image in self.document.findall(nodes.image):
            image.setdefault("width", WIDTH)
        for item in list(self.document.findall(nodes.list_item)):
            _shorten({name: p for p in item for name in p["classes"]})


def _shorten(card: dict[str, nodes.Element]) -> None:
    """Set the question of a `card` apart by its type, and its last lines as one."""
    if "question" in card:
        words = card["question"].children
        card["question"].clear()
        card["question"] += nodes.emphasis("", "", *words)
    if {"time", "needs"} <= card.keys():
        card["time"] += [nodes.Text(". "), *card["needs"].children]
        card["needs"].parent.remove(card["needs"])


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the transform."""
    app.add_transform(Preface)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
