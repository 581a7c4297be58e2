"""Sphinx extension: images by the names that `book_images` gives them, by those written."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.typing import ExtensionMetadata

from builder.source.images import key


class NameImages(SphinxTransform):
    """Give each image its name in the form, before Sphinx looks for the file."""

    default_priority = 200

    def apply(self) -> None:
        """Go through the page; outputs have no such names."""
        for node in self.document.findall(nodes.image):
            written = key(node["uri"])
            node["uri"] = self.config.book_images.get(written, node["uri"])


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the transform."""
    app.add_config_value("book_images", {}, "", dict)
    app.add_transform(NameImages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
