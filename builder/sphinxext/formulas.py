"""Sphinx extension: formulas rendered to HTML by KaTeX at build time.

`Renderer` and `block_start` also serve `mathml`.
"""

from collections.abc import Callable

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

from builder.sphinxext.katex import Katex


class Renderer:
    """Renders nodes by `convert(katex, formula, display)`, until the build ends."""

    def __init__(
        self, app: Sphinx, convert: Callable[[Katex, str, bool], str] = Katex.render
    ) -> None:
        self._katex, self._convert = Katex(), convert
        app.connect("build-finished", lambda app, exception: self._katex.close())

    def __call__(self, node: nodes.Element, display: bool) -> str:
        """The formula as markup; if it is invalid, nothing but a warning at its place."""
        try:
            return self._convert(self._katex, node.astext(), display)
        except ValueError as error:
            getLogger(__name__).warning("%s", error, location=node)
            return ""


def block_start(
    translator: HTML5Translator, node: nodes.Element, **attributes: str
) -> str:
    """The opening tag of a formula on its own line."""
    # myst-parser wraps a labelled formula in a container that already has its id.
    is_wrapped = set(node["ids"]) <= set(node.parent["ids"])
    owner = {} if is_wrapped else node
    return translator.starttag(owner, "div", CLASS="math", **attributes)


def setup(app: Sphinx) -> None:
    """Register the math renderer `katex`."""
    render = Renderer(app)

    def visit_math(self, node):
        start = self.starttag(node, "span", "", CLASS="math")
        # A line may break between the formula's parts, even within `unbroken`.
        parts = render(node, display=False).replace(
            '</span><span class="base">', '</span><wbr><span class="base">'
        )
        self.body.append(f"{start}{parts}</span>")
        raise nodes.SkipNode

    def visit_math_block(self, node):
        self.body.append(block_start(self, node))
        if node["number"]:
            number = get_node_equation_number(self, node)
            self.body.append(f'<span class="eqno">({number})')
            self.add_permalink_ref(node, "Link to this equation")
            self.body.append("</span>")
        self.body.append(f"{render(node, display=True)}</div>")
        raise nodes.SkipNode

    app.add_html_math_renderer("katex", (visit_math, None), (visit_math_block, None))
