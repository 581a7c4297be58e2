"""Sphinx extension: prose becomes well-formed HTML, and XML in EPUBs.

`source.html` tells which HTML prose may contain. MyST passes it on as it was written, and
to the site alone.
"""

from itertools import groupby
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.logging import getLogger
from sphinx.util.typing import ExtensionMetadata

from builder.source import html


class ShowEverywhere(SphinxTransform):
    """Replace MyST's raw HTML by what each form shows."""

    default_priority = 200

    def apply(self) -> None:
        """Go through the page."""
        for node in list(self.document.findall(nodes.raw)):
            # What a cell has shown stays as it is, but not the HTML in its Markdown.
            if node.get("format") == "html" and "text_html" not in node["classes"]:
                node.replace_self(self._shown(node))

    def _shown(self, node: nodes.raw) -> list[nodes.Node]:
        text = node.astext()
        match = html.TAG.fullmatch(text.strip())
        name = match["name"].lower() if match else ""
        if html.is_comment(text):
            return []
        if isinstance(node.parent, nodes.TextElement):
            if match and name == html.BREAK:
                return _raw("<br />\n", "\\leavevmode\\newline{}")
            if match and name in html.AROUND and not match["rest"]:
                before, after = html.AROUND[name]
                if match["close"]:
                    return _raw(f"</{name}>", after)
                kind = ' class="literal"' if name == "code" else ""  # as of `code`
                return _raw(f"<{name}{kind}>", before)
        elif html.is_block(text):
            return [nodes.transition()] if f"<{html.RULE}" in text.lower() else []
        getLogger(__name__).warning("not every form shows %s", text, location=node)
        return [node]


class PartParagraphs(SphinxPostTransform):
    """Part paragraphs at displayed formulas, which are blocks: HTML nests none in them."""

    default_priority = 400  # before Furo puts formulas into boxes
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Go through the page."""
        for paragraph in list(self.document.findall(nodes.paragraph)):
            if any(isinstance(child, nodes.math_block) for child in paragraph):
                paragraph.replace_self(self._parts(paragraph))

    def _parts(self, paragraph: nodes.paragraph) -> list[nodes.Node]:
        parts: list[nodes.Node] = []
        for is_block, group in groupby(
            paragraph, lambda node: isinstance(node, nodes.math_block)
        ):
            content = list(group)
            if is_block:
                parts += content
            elif "".join(node.astext() for node in content).strip():
                part = paragraph.copy()
                part["ids"] = [] if parts else part["ids"]
                part += content
                parts.append(part)
        return parts


def _raw(markup: str, latex: str) -> list[nodes.Node]:
    return [
        nodes.raw("", markup, format="html"),
        nodes.raw("", latex, format="latex"),
    ]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the transforms."""
    app.add_transform(ShowEverywhere)
    app.add_post_transform(PartParagraphs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
