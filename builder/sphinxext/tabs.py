"""Sphinx extension: a merged notebook's tagged cells become tab sets and solutions.

Neighbours that belong to one framework each are gathered in one tab set; neighbours
tagged `solution` in one dropdown, which may hold tab sets. Both are sphinx-design's
components and work without JavaScript. That all tab sets follow one choice is the work
of templates/framework.js, which replaces sphinx-design's own script.
"""

from itertools import groupby

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx_design.shared import create_component

from d2lext.core.frameworks import TITLES

# myst-nb gives a code cell's tags this prefix; merged prose carries them as they are.
_CODE = "tag_"


class GatherCells(SphinxTransform):
    """Put runs of tagged cells into solutions, then into tab sets."""

    default_priority = 400  # after labels have found the node they stand before

    def apply(self):
        for parent in _parents(self.document, _is_solution):
            _gather(parent, _is_solution, _solution)
        for parent in _parents(self.document, _framework):
            _gather(parent, _framework, _tab_set)


def _classes(node):
    if not isinstance(node, nodes.container):
        return []
    return [name.removeprefix(_CODE) for name in node["classes"]]


def _is_solution(node):
    return "solution" in _classes(node)


def _framework(node):
    tabs = [name for name in _classes(node) if name.startswith("tab-")]
    return tabs[0].removeprefix("tab-") if tabs else None


def _parents(document, belongs):
    found = {id(node.parent): node.parent for node in document.findall(belongs)}
    return found.values()


def _gather(parent, belongs, component):
    """Replace each run of children that `belongs` holds of by one component."""
    # Comments show nowhere, so they do not part two cells.
    children = [c for c in parent.children if not isinstance(c, nodes.comment)]
    gathered = []
    for wanted, run in groupby(children, lambda node: bool(belongs(node))):
        cells = list(run)
        gathered += [component(cells)] if wanted else cells
    parent[:] = gathered


def _solution(cells):
    title = nodes.rubric("", "Solution")
    body = []
    for cell in cells:
        if _is_prose(cell) and _framework(cell) is None:
            # Unwrapped, so that tab sets within find their neighbours; what pointed at
            # the wrapper points at the dropdown.
            title["ids"] += cell["ids"]
            body += cell.children
        else:
            body.append(cell)
    return create_component(
        "dropdown",
        children=[title, *body],
        opened=False,
        type="dropdown",
        has_title=True,
        icon=None,
        chevron=None,
        container_classes=["solution", "sd-mb-3"],
        title_classes=[],
        body_classes=[],
    )


def _is_prose(cell):
    return "nb_element" not in cell


def _tab_set(cells):
    tabs = []
    for framework, title in TITLES.items():
        own = [cell for cell in cells if _framework(cell) == framework]
        if not own:
            continue
        label = nodes.rubric("", title, classes=["sd-tab-label"])
        label["sync_group"], label["sync_id"] = "framework", framework
        content = create_component("tab-content", ["sd-tab-content"], children=own)
        item = create_component(
            "tab-item", ["sd-tab-item"], children=[label, content], selected=False
        )
        tabs.append(item)
    return create_component("tab-set", ["sd-tab-set"], children=tabs)


def _scripts(app, pagename, templatename, context, doctree):
    """Leave sphinx-design's script out: the one in the page's head does its work."""
    names = [str(script.filename) for script in context["script_files"]]
    pairs = zip(context["script_files"], names, strict=True)
    context["script_files"] = [s for s, n in pairs if n != "_static/design-tabs.js"]


def setup(app):
    """Register the transform."""
    app.setup_extension("sphinx_design")
    app.add_transform(GatherCells)
    app.connect("html-page-context", _scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
