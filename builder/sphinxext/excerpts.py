"""Sphinx extension: search results take their excerpts from one script.

Sphinx's own search fetches every page it finds. A page opened as a file may not fetch
anything, and whole pages contain text that nobody sees, such as the source of formulas.
"""

import json
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from builder import files

# What pages hide or nobody reads; none of these elements contains another of its kind.
HIDDEN = re.compile(
    r'<span class="katex-mathml">.*?</math></span>|<a class="headerlink".*?</a>'
    r'|<label\b[^>]*"sd-tab-label".*?</label>|<(script|style)\b.*?</\1>',
    re.DOTALL,
)
TAG = re.compile(r"<!--.*?-->|<(?!/?section\b)[^>]*>", re.DOTALL)
# Sphinx asks for a page as `./name.html`.
SCRIPT = """// Generated: the text of each page, by section, in the form the search expects.
const PAGES = {pages};
window.fetch = async (page) => new Response(PAGES[page.replace("./", "")]);
"""


def text(body: str) -> str:
    """The visible text of a page with this HTML; of its tags, only sections remain.

    Not by an HTML parser, which would take longer than all else that a page needs.
    """
    visible = TAG.sub("", HIDDEN.sub("", body))
    return re.sub(r"\s+", " ", f'<article role="main">{visible}</article>')


def setup(app: Sphinx) -> ExtensionMetadata:
    """Collect the pages' texts as they are written, then write the script."""
    texts = {}

    def collect(app, name, template, context, doctree):
        if doctree:
            texts[f"{name}.html"] = text(context["body"])

    def write(app, exception):
        if not exception:
            path = Path(app.outdir, "searchpages.js")
            pages = _pages(path) | texts  # a build writes only pages that changed
            content = json.dumps(pages, ensure_ascii=False, indent=0, sort_keys=True)
            files.write(path, SCRIPT.replace("{pages}", content))

    app.connect("html-page-context", collect)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": False}


def _pages(script: Path) -> dict[str, str]:
    """The texts in a `script` that was written before, by page."""
    if not script.is_file():
        return {}
    before, after = (re.escape(part) for part in SCRIPT.split("{pages}"))
    found = re.fullmatch(f"{before}(.*){after}", script.read_text("utf-8"), re.DOTALL)
    return json.loads(found[1]) if found else {}
