"""Sphinx extension: a valid EPUB with formulas in MathML, which need no style sheet.

KaTeX writes them, so an EPUB accepts the same formulas as the site. The TeX becomes the
alternative text: inside the element, where KaTeX puts it, some readers display it, too.
"""

import re
import unicodedata
from contextlib import suppress
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.builders.epub3 import Epub3Builder
from sphinx.util.math import get_node_equation_number
from sphinx.util.typing import ExtensionMetadata

from builder import files
from builder.sphinxext.formulas import Renderer, block_start
from builder.sphinxext.katex import Katex

VARIANT = re.compile(r'<(m[ino]) mathvariant="(bold|double-struck|script)">(\w)<')
# Formulas of more characters than fit a line shrink, down to this size in em.
CHARACTERS_A_LINE, SMALLEST = 42, 0.55


def mathml(katex: Katex, formula: str, display: bool) -> str:
    """The formula as a `math` element; raises ValueError if KaTeX cannot parse it."""
    html = katex.render(formula, display, output="mathml")
    element = re.sub(r"(?s).*?(<math.*</math>).*", r"\1", html)
    element = re.sub(r"(?s)<annotation.*</annotation>|</?semantics>", "", element)
    element = VARIANT.sub(_letter, element)
    return element.replace("<math", f'<math alttext="{escape(formula.strip())}"', 1)


def _letter(match: re.Match[str]) -> str:
    """The bold letter itself: MathML Core has no attribute for it."""
    tag, variant, letter = match.groups()
    name = re.sub("LATIN |GREEK |LETTER ", "", unicodedata.name(letter))
    name = f"{variant.upper()} {name}"  # such as BOLD SMALL X
    for full in (f"MATHEMATICAL {name}", name):
        with suppress(KeyError):
            return f"<{tag}>{unicodedata.lookup(full)}<"
    return match[0]


def _size(element: str) -> float:
    """The font size in em of a displayed formula: e-readers cannot scroll a long one."""
    characters = len("".join(re.sub("<[^>]*>", "", element).split()))
    return round(max(SMALLEST, min(1, CHARACTERS_A_LINE / max(characters, 1))), 2)


class MathmlEpubBuilder(Epub3Builder):
    """Sphinx's builder, which also declares the cover and the pages with MathML."""

    def build_content(self) -> None:
        """Write content.opf."""
        super().build_content()
        properties = {self.config.epub_cover[0]: "cover-image"}
        for page in self.outdir.glob(f"*{self.out_suffix}"):
            if "<math" in page.read_text(encoding="utf-8"):
                properties[page.name] = "mathml"
        path = Path(self.outdir, "content.opf")
        content = path.read_text(encoding="utf-8")
        for name, value in properties.items():
            item = f' href="{name}" media-type'
            content = content.replace(item, f' properties="{value}"{item}')
        files.write(path, content)


def _drop_late_styles(app, pagename, templatename, context, doctree):
    """Drop myst-nb's style sheet, which is written only after the EPUB is packed."""
    context["css_files"] = [
        css for css in context["css_files"] if "mystnb" not in str(css.filename)
    ]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the builder and the math renderer `mathml`."""
    render = Renderer(app, mathml)
    app.connect("html-page-context", _drop_late_styles)
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
