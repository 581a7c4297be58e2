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
        for text in list(self.document.findall(nodes.paragraph)):
            if "question" in text["classes"]:
                words = text.children
                text.clear()
                text += nodes.emphasis("", "", *words)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the transform."""
    app.add_transform(Preface)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
