"""Sphinx extension: search results take their excerpts from one script.

Sphinx's own search fetches every page it finds. A page opened as a file may not fetch
anything, and whole pages contain text that nobody sees, such as the source of formulas.
"""

import json
import re
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from builder import files

HIDDEN = ".katex-mathml, .headerlink, .sd-tab-label, script, style"
# Sphinx asks for a page as `./name.html`.
SCRIPT = """// Generated: the text of each page, by section, in the form the search expects.
const PAGES = {pages};
window.fetch = async (page) => new Response(PAGES[page.split("/").pop()]);
"""


def text(body: str) -> str:
    """The visible text of a page with this HTML; of its tags, only sections remain."""
    page = BeautifulSoup(f'<article role="main">{body}</article>', "html.parser")
    for element in page.select(HIDDEN):
        element.decompose()
    for article in page.find_all("article", recursive=False):
        _flatten(article)
    return re.sub(r"\s+", " ", str(page))


def _flatten(parent: Tag) -> None:
    """Replace the elements in `parent` by their text, except sections."""
    for child in parent.find_all(recursive=False):
        if child.name == "section":
            _flatten(child)
        elif child.find("section"):
            _flatten(child)
            child.unwrap()
        else:  # much faster than unwrapping thousands of elements
            child.replace_with(child.get_text())


def setup(app: Sphinx) -> ExtensionMetadata:
    """Collect the pages' texts as they are written, then write the script."""
    texts = {}

    def collect(app, name, template, context, doctree):
        if doctree:
            texts[f"{name}.html"] = text(context["body"])

    def write(app, exception):
        if not exception:
            pages = json.dumps(texts, ensure_ascii=False, indent=0)
            script = SCRIPT.replace("{pages}", pages)
            files.write(Path(app.outdir, "searchpages.js"), script)

    app.connect("html-page-context", collect)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
