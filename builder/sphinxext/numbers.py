"""Sphinx extension: what is numbered has its number from `source.labels`, as in notebooks.

A page for one framework, or without solutions, lacks some figures that others have, and
tabs change the order of a page; counted by itself, each form would have other numbers.
"""

from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.logging import getLogger
from sphinx.util.typing import ExtensionMetadata

# Kinds of the book's numbers, and of Sphinx's and LaTeX's counters.
COUNTERS = {
    "figure": ("figure", "figure"),
    "table": ("table", "table"),
    "equation": ("displaymath", "equation"),
}


class NoteNumbered(SphinxTransform):
    """Note the ids of what is numbered, while the page is still in its author's order."""

    default_priority = 390  # after labels have found what they precede, before tabs

    def apply(self, **kwargs: Any) -> None:
        """Compare with the page's numbers, and prepare LaTeX, which counts by itself."""
        expected = self.config.book_numbers.get(self.env.docname)
        if expected is None:
            return
        found = [(_kind(node), node) for node in self.document.findall(nodes.Element)]
        numbered = [(kind, node) for kind, node in found if kind]
        for (kind, node), (wanted, _) in zip(numbered, expected, strict=False):
            if kind != wanted:
                self._differs(node)
                return
        if len(numbered) != len(expected):
            self._differs(self.document)
            return
        counts: dict[str, int] = {}
        for (kind, node), (_, number) in zip(numbered, expected, strict=True):
            if kind == "section":
                continue
            count = int(number.rpartition(".")[2])
            if count != counts.get(kind, 0) + 1:
                text = f"\\setcounter{{{COUNTERS[kind][1]}}}{{{count - 1}}}\n"
                place = node.parent.index(node)
                node.parent.insert(place, nodes.raw("", text, format="latex"))
            counts[kind] = count
        ids = [node["ids"][0] for _, node in numbered]
        self.env.metadata[self.env.docname]["numbered"] = ids

    def _differs(self, node: nodes.Element) -> None:
        getLogger(__name__).warning(
            "from here on, notebooks and Sphinx would number differently: write it "
            "without nesting",
            location=node,
        )


class NameChapters(SphinxPostTransform):
    """Let {numref} say Chapter 1, as in notebooks: to Sphinx it is a section."""

    default_priority = 5  # before Sphinx resolves references

    def run(self, **kwargs: Any) -> None:
        """Go through the page."""
        labels = self.env.domains.standard_domain.anonlabels
        for node in list(self.document.findall(pending_xref)):
            page, target = labels.get(node.get("reftarget", ""), ("", ""))
            if page and node["reftype"] == "numref" and not node["refexplicit"]:
                named = self.env.get_doctree(page).ids.get(target)
                if isinstance(named, nodes.section) and _is_chapter(named):
                    node["refexplicit"] = True
                    node[:] = [nodes.inline("", "Chapter %s")]


def _is_chapter(section: nodes.section) -> bool:
    return isinstance(section.parent, nodes.document)


def _kind(node: nodes.Element) -> str:
    """The kind of number that a `node` has; empty if it has none."""
    if isinstance(node, nodes.section):
        return "section"
    if isinstance(node, nodes.figure):
        return "figure"
    if isinstance(node, nodes.table) and isinstance(node.next_node(), nodes.title):
        return "table"
    if isinstance(node, nodes.math_block) and node.get("label"):
        return "equation"
    return ""


def _number(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Replace Sphinx's own numbers; return the pages whose numbers have changed."""
    changed = []
    for name, numbers in app.config.book_numbers.items():
        ids = env.metadata[name].get("numbered", [])
        figures = {**env.toc_fignumbers.get(name, {})}
        figures |= {kind: {} for kind, _ in COUNTERS.values() if kind in figures}
        for (kind, number), node_id in zip(numbers, ids, strict=False):
            parts = tuple(map(int, number.split(".")))
            if kind != "section":
                figures.setdefault(COUNTERS[kind][0], {})[node_id] = parts
                continue
            sections = env.toc_secnumbers.get(name, {})
            sphinx = sections.get("" if len(parts) == 1 else f"#{node_id}")
            if sphinx != parts:
                raise ExtensionError(
                    f"chapters/{name}.md is numbered {number}, but {sphinx} on this page "
                    "of the book: let the toctree in chapters/index.md list all chapters "
                    "in the order of their numbers, with `:numbered:`"
                )
        if figures != env.toc_fignumbers.get(name, {}):
            env.toc_fignumbers[name] = figures
            changed.append(name)
    return changed


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the transform; its numbers go into each page's file, too."""
    app.add_config_value("book_numbers", {}, "", dict)
    app.add_transform(NoteNumbered)
    app.add_post_transform(NameChapters)
    app.connect("env-get-updated", _number, priority=900)  # after Sphinx's
    return {"parallel_read_safe": True, "parallel_write_safe": True}
