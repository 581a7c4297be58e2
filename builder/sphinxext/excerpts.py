"""Sphinx extension: search results quote their pages from one script.

Sphinx's own search fetches each page that it found. A page opened as a file may fetch
nothing, and whole pages hold what no reader sees, such as the source of formulas.
"""

import json
import re

from bs4 import BeautifulSoup

UNSEEN = ".katex-mathml, .headerlink, .sd-tab-label, script, style"
# Sphinx asks for a page as `./name.html`.
SCRIPT = """// Generated: the text of each page, by sections, as the search asks for it.
const PAGES = {pages};
window.fetch = async (page) => new Response(PAGES[page.split("/").pop()]);
"""


def text(body):
    """The text of the page with this HTML, and of its tags those of sections alone."""
    page = BeautifulSoup(f'<article role="main">{body}</article>', "html.parser")
    for element in page.select(UNSEEN):
        element.decompose()
    for element in page.select("article *"):
        if element.name != "section":
            element.unwrap()
    return re.sub(r"\s+", " ", str(page))


def setup(app):
    """Collect the pages' texts while they are written, then write the script."""
    pages = {}

    def collect(app, name, template, context, doctree):
        if doctree:
            pages[f"{name}.html"] = text(context["body"])

    def write(app, exception):
        if not exception:
            found = json.dumps(pages, ensure_ascii=False, indent=0)
            script = SCRIPT.replace("{pages}", found)
            (app.outdir / "searchpages.js").write_text(script, encoding="utf-8")

    app.connect("html-page-context", collect)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
