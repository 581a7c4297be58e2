"""Sphinx extension: an EPUB that is valid with formulas in MathML, which needs no style.

KaTeX writes it, so that an EPUB takes the formulas that the site takes. The formula in
TeX is its alternative text; as KaTeX has it, inside, some readers show it as well.
"""

import re
import unicodedata
from contextlib import suppress
from html import escape

from docutils import nodes
from sphinx.builders.epub3 import Epub3Builder
from sphinx.util.math import get_node_equation_number

from builder.sphinxext.formulas import block_start, renderer

VARIANT = re.compile(r'<(m[ino]) mathvariant="(bold|double-struck|script)">(\w)<')

SIGNS_A_LINE, SMALLEST = 42, 0.55


def mathml(katex, formula, display):
    """The formula as a `math` element; raises ValueError when KaTeX cannot read it."""
    html = katex.render(formula, display, output="mathml")
    element = re.search(r"<math.*</math>", html, re.DOTALL)[0]
    element = re.sub(r"(?s)<annotation.*</annotation>|</?semantics>", "", element)
    element = VARIANT.sub(_letter, element)
    return element.replace("<math", f'<math alttext="{escape(formula.strip())}"', 1)


def _letter(match):
    """The bold letter itself: MathML's core has no attribute for it."""
    tag, variant, letter = match.groups()
    name = re.sub("LATIN |GREEK |LETTER ", "", unicodedata.name(letter))
    name = f"{variant.upper()} {name}"  # such as BOLD SMALL X
    for full in (f"MATHEMATICAL {name}", name):
        with suppress(KeyError):
            return f"<{tag}>{unicodedata.lookup(full)}<"
    return match[0]


def _size(element):
    """Of a formula that stands alone: smaller if long, as e-readers cannot scroll."""
    signs = len("".join(re.sub("<[^>]*>", "", element).split()))
    return round(max(SMALLEST, min(1, SIGNS_A_LINE / max(signs, 1))), 2)


class MathmlEpubBuilder(Epub3Builder):
    """Sphinx's builder, which also declares the cover and the pages with MathML."""

    def build_content(self):
        """Write content.opf."""
        super().build_content()
        properties = {self.config.epub_cover[0]: "cover-image"}
        for page in self.outdir.glob(f"*{self.out_suffix}"):
            if "<math" in page.read_text(encoding="utf-8"):
                properties[page.name] = "mathml"
        path = self.outdir / "content.opf"
        content = path.read_text(encoding="utf-8")
        for name, value in properties.items():
            item = f' href="{name}" media-type'
            content = content.replace(item, f' properties="{value}"{item}')
        path.write_text(content, encoding="utf-8")


def _without_later_style(app, pagename, templatename, context, doctree):
    """Leave out myst-nb's style sheet: it is written when the EPUB is packed already."""
    context["css_files"] = [
        css for css in context["css_files"] if "mystnb" not in str(css.filename)
    ]


def setup(app):
    """Register the builder and the math renderer `mathml`."""
    render = renderer(app, mathml)
    app.connect("html-page-context", _without_later_style)
    app.add_builder(MathmlEpubBuilder, override=True)

    def visit_math(self, node):
        self.body.append(render(node, display=False))
        raise nodes.SkipNode

    def visit_math_block(self, node):
        formula = render(node, display=True)
        style = f"font-size: {_size(formula)}em"
        self.body += [block_start(self, node, style=style), formula]
        if node["number"]:
            number = get_node_equation_number(self, node)
            self.body.append(f'<span class="eqno">({number})</span>')
        self.body.append("</div>\n")
        raise nodes.SkipNode

    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": False}
