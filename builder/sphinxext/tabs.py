"""Sphinx extension: a merged notebook's tagged cells become tab sets and solutions.

Neighbouring cells of single frameworks form one tab set; neighbouring cells tagged
`solution` form one dropdown, which may contain tab sets. Both are sphinx-design's
components and work without JavaScript. templates/framework.js, in place of
sphinx-design's own script, makes all tab sets follow one choice.
"""

from collections.abc import Callable, Iterable
from itertools import groupby

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.typing import ExtensionMetadata
from sphinx_design.shared import create_component

from d2lext.core.frameworks import TITLES

# myst-nb prefixes the tags of code cells; merged prose carries its tags unchanged.
_CODE = "tag_"


class GatherCells(SphinxTransform):
    """Put runs of tagged cells into solutions, then into tab sets."""

    default_priority = 400  # after labels have found the nodes that they precede

    def apply(self) -> None:
        for parent in _parents(self.document, _is_solution):
            _gather(parent, _is_solution, _solution)
        for parent in _parents(self.document, _framework):
            _gather(parent, _framework, _tab_set)


def _parents(document: nodes.document, belongs: Callable) -> Iterable[nodes.Element]:
    return {id(node.parent): node.parent for node in document.findall(belongs)}.values()


def _is_solution(node: nodes.Node) -> bool:
    return "solution" in _classes(node)


def _framework(node: nodes.Node) -> str | None:
    tabs = [name for name in _classes(node) if name.startswith("tab-")]
    return tabs[0].removeprefix("tab-") if tabs else None


def _classes(node: nodes.Node) -> list[str]:
    if not isinstance(node, nodes.container):
        return []
    return [name.removeprefix(_CODE) for name in node["classes"]]


def _gather(parent: nodes.Element, belongs: Callable, component: Callable) -> None:
    """Replace each run of children for which `belongs` holds by one component."""
    # Comments are invisible, so they do not separate two cells.
    children = [c for c in parent.children if not isinstance(c, nodes.comment)]
    gathered = []
    for is_wanted, run in groupby(children, lambda node: bool(belongs(node))):
        cells = list(run)
        gathered += [component(cells)] if is_wanted else cells
    parent[:] = gathered


def _solution(cells: list[nodes.container]) -> nodes.Element:
    title = nodes.rubric("", "Solution")
    body = []
    for cell in cells:
        is_prose = "nb_element" not in cell
        if is_prose and _framework(cell) is None:
            # Unwrapped, so that tab sets inside find their neighbours; links to the
            # wrapper then lead to the dropdown.
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


def _tab_set(cells: list[nodes.container]) -> nodes.Element:
    tabs = []
    for framework, title in TITLES.items():
        children = [cell for cell in cells if _framework(cell) == framework]
        if not children:
            continue
        label = nodes.rubric("", title, classes=["sd-tab-label"])
        label["sync_group"], label["sync_id"] = "framework", framework
        content = create_component("tab-content", ["sd-tab-content"], children=children)
        item = create_component(
            "tab-item", ["sd-tab-item"], children=[label, content], selected=False
        )
        tabs.append(item)
    return create_component("tab-set", ["sd-tab-set"], children=tabs)


def _drop_script(app, pagename, templatename, context, doctree):
    """Drop sphinx-design's script, which the one in the page's head replaces."""
    context["script_files"] = [
        script
        for script in context["script_files"]
        if str(script.filename) != "_static/design-tabs.js"
    ]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the transform."""
    app.setup_extension("sphinx_design")
    app.add_transform(GatherCells)
    app.connect("html-page-context", _drop_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
