"""Sphinx extension: drawings that build up or have a script, as a part of their page.

On the site `steps.js` lets readers go from step to step, on slides steps are fragments;
a figure's script follows its drawing. In other forms, and where no script runs, such a
drawing shows all of its parts.
"""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.directives import patches
from sphinx.transforms import SphinxTransform
from sphinx.util.typing import ExtensionMetadata

from builder.source import drawings, images, prose

SITE, SLIDES = "html", "revealjs"  # Sphinx's builders


class Figure(patches.Figure):
    """A figure, perhaps with a script, which its image then has as an attribute."""

    option_spec = prose.Figure.option_spec


class DrawIntoPage(SphinxTransform):
    """Replace pictures by the drawings themselves."""

    default_priority = 210  # after images have their names in the form

    def apply(self) -> None:
        """Go through the page; what code has shown is none of these images."""
        if self.app.builder.name not in (SITE, SLIDES):
            return
        names = self.config.book_images
        for node in list(self.document.findall(nodes.image)):
            if node["uri"] in names.values() and node["uri"].endswith(".svg"):
                script = names.get(images.key(node.get("script", "")))
                file = Path(self.env.srcdir, node["uri"])
                if script or drawings.has_steps(file):
                    node.replace_self(self._drawn(node, file, script))

    def _drawn(self, node: nodes.image, file: Path, script: str | None) -> nodes.raw:
        is_slide = self.app.builder.name == SLIDES
        markup = drawings.markup(file, node.get("alt", ""), fragments=is_slide)
        self.env.note_dependency(file)
        if script:
            path = Path(self.env.srcdir, script)
            self.env.note_dependency(path)
            markup += f"\n<script>\n{path.read_text('utf-8').strip()}\n</script>"
        return nodes.raw("", markup, format="html")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive and the transform."""
    app.add_directive("figure", Figure, override=True)
    app.add_transform(DrawIntoPage)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
