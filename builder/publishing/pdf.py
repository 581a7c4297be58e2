"""The PDF of the book for one framework: Sphinx writes LaTeX, XeLaTeX typesets it.

XeLaTeX's own files stay in _build/work; only a complete PDF leaves it.
"""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from builder.publishing import images, sphinx_build, xelatex
from builder.publishing.sphinx_source import Source
from builder.source.settings import read_settings
from d2lext.core.frameworks import TITLES

STYLE = Path(__file__).parent / "styles" / "paper.sty"
# A chapter's list of references, with its heading.
REFERENCES = re.compile(
    r"(?:^#+ .+\n+)?^(?P<fence>:{3,}|`{3,})\{bibliography\}.*?^(?P=fence)[ ]*$",
    re.M | re.S,
)


def build(
    root: Path, out: Path, pages: Mapping[str, NotebookNode], backend: str
) -> bool:
    """Write `pages`, the notebooks of `backend` by name, to the file `out`.

    Skipped if nothing has changed; returns whether it was written.
    """
    xelatex.check_programs()
    out = out.resolve()
    configuration = _configuration(read_settings(root), backend)
    source = Source(root, _with_one_list(pages), configuration, kinds=images.PRINTED)
    work = out.parent.with_name("work") / f"pdf-{out.stem}"
    folder = work / "tex"
    with sphinx_build.alone(out, work):
        sphinx_build.build(source, folder, work, builder="latex")
        return sphinx_build.publish(
            folder, out, lambda: xelatex.print_book(folder, work / "run", root, pages)
        )


def _with_one_list(pages: Mapping[str, NotebookNode]) -> dict[str, NotebookNode]:
    """The pages with one list of references, at the end of the book as LaTeX has it."""
    copied = copy.deepcopy(dict(pages))
    last = None
    for page in copied.values():
        for cell in page.cells:
            match = cell.cell_type == "markdown" and REFERENCES.search(cell.source)
            if match:
                cell.source = REFERENCES.sub("", cell.source)
                last = cell
                numbers = cell.metadata.get("numbers", [])
                if match[0].startswith("#"):  # a section that the chapter now lacks
                    sections = [pair for pair in numbers if pair[0] == "section"]
                    if sections:
                        numbers.remove(sections[-1])
    if last is not None:
        last.source += "\n\n:::{bibliography}\n:::"
    return copied


def _configuration(settings: Mapping[str, Any], backend: str) -> dict[str, Any]:
    """Sphinx's settings."""
    title, author = settings["title"], settings["author"]
    about = {
        "name": title,
        "edition": f"{TITLES[backend]} edition",
        "author": author,
        "year": settings["year"],
        "repository": settings.get("repository", ""),
    }
    macros = [rf"\newcommand{{\book{k}}}{{{_escape(v)}}}" for k, v in about.items()]
    return {
        "extensions": [
            "builder.sphinxext.glyphs",
            "builder.sphinxext.preface",
            "sphinxcontrib.rsvgconverter",
        ],
        "nb_mime_priority_overrides": [("latex", "image/svg+xml", 5)],
        "pygments_style": "friendly",
        "latex_engine": "xelatex",
        "latex_documents": [("index", "book.tex", _escape(title), author, "manual")],
        "latex_additional_files": [str(STYLE)],
        "latex_table_style": ["booktabs"],
        "latex_domain_indices": False,
        "latex_show_urls": "no",
        "latex_elements": {
            "papersize": "a4paper",
            "pointsize": "11pt",
            "extraclassoptions": "oneside,openany",
            "fncychap": "",
            # mathpazo provides the fonts of formulas.
            "fontenc": r"\usepackage[no-math]{fontspec}",
            "fontpkg": r"\usepackage{mathpazo}",
            "preamble": "\n".join([r"\usepackage{paper}", *macros]),
            "maketitle": r"\booktitlepage",
            "tableofcontents": r"\bookcontents\bookpreface",
            "printindex": "",
            "makeindex": "",
        },
    }


def _escape(text: object) -> str:
    from sphinx.util.texescape import escape

    return escape(str(text), "xelatex")
