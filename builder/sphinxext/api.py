"""Sphinx extension: the library's reference, and links to it.

The directive `{api}` shows what names of `d2l` are, from their docstrings, in tabs where
the frameworks differ. Names in code, such as `d2l.Trainer`, lead there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.addnodes import desc, desc_parameter, desc_signature, pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

from builder.sphinxext import library
from builder.sphinxext.library import Entry
from d2lext.core.frameworks import IDS, TITLES

LABEL, TYPE = "api-", "api"  # of a section, of a link to it
NAME = re.compile(r"(?:d2l\.)?([A-Za-z_]\w*)(?:\(\))?")
IN_CODE = re.compile(
    r'(<span class="n">d2l</span><span class="o">\.</span>)(<span class="\w+">(\w+)</span>)'
)


class source_link(nodes.General, nodes.Element):  # noqa: N801, as docutils names nodes
    """A link to a name's source, for readers of one `backend` or of all."""


class Reference(SphinxDirective):
    """A section for each of the names, with what it is in each framework."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"members": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """The sections, each with a label, such as `api-Trainer`."""
        members = self.options.get("members", "").replace(",", " ").split()
        return [self._section(name, members) for name in self.arguments[0].split()]

    def _section(self, name: str, members: list[str]) -> nodes.Element:
        try:
            found = library.find(name, members, self.config.book_library)
        except KeyError as error:
            raise self.error(f"the library has no {error.args[0]!r}") from None
        short = ".".join(name.split(".")[-2:])
        section = nodes.section(ids=[short], names=[LABEL + short])
        section += nodes.title("", "", nodes.literal("", short))
        self.state.document.note_explicit_target(section)
        self.set_source_info(section)
        for entry in found.values():
            for part in entry.all():
                self.env.note_dependency(str(part.file))
        entries = list(found.values())
        are_equal = all(entry == entries[0] for entry in entries)
        if are_equal and set(found) in ({""}, {*IDS}):
            section += self._shown(entries[0], found)
        else:
            for backend, entry in found.items():
                tab = nodes.container(classes=[f"tab-{backend}"])
                tab += self._shown(entry, {"": entry})
                section += tab
        return section

    def _shown(self, entry: Entry, found: Mapping[str, Entry]) -> list[nodes.Node]:
        """The entry, with links to the source of those that were `found`."""
        shown = self.parse_text_to_nodes(_markdown(entry))
        parts = zip(*(other.all() for other in found.values()), strict=True)
        signatures = (s for node in shown for s in node.findall(desc_signature))
        for signature, same in zip(signatures, parts, strict=True):
            signature += self._sources(dict(zip(found, same, strict=True)))
        return shown

    def _sources(self, found: Mapping[str, Entry]) -> Iterable[nodes.Node]:
        if not self.config.book_source:
            return
        folder = library.FOLDER.parent
        where = {
            backend: f"{entry.file.relative_to(folder).as_posix()}"
            f"#L{entry.lines[0]}-L{entry.lines[1]}"
            for backend, entry in found.items()
        }
        if len({*where.values()}) == 1:
            where = {"": next(iter(where.values()))}
        for backend, place in where.items():
            words = f"source in {TITLES[backend]}" if backend else "source"
            address = self.config.book_source + place
            yield source_link("", nodes.Text(words), address=address, backend=backend)


class LinkNames(SphinxTransform):
    """Let names of the library in prose lead to the reference.

    In chapters, whose own definitions have such names, only those with `d2l.`.
    """

    default_priority = 500

    def apply(self, **kwargs: Any) -> None:
        """Go through the page; `_resolve` leaves names alone that have no label."""
        in_chapter = "/" not in self.env.docname
        for node in list(self.document.findall(nodes.literal)):
            match = NAME.fullmatch(node.astext())
            if not match or (in_chapter and not match[0].startswith("d2l.")):
                continue
            if any(self._forbids(parent, match[1]) for parent in _parents(node)):
                continue
            link = pending_xref("", reftype=TYPE, reftarget=match[1], refwarn=False)
            link["refdoc"] = self.env.docname
            node.replace_self(link)
            link += node

    def _forbids(self, parent: nodes.Node, name: str) -> bool:
        """Whether `name` means something else within this node, or is not a link there."""
        if isinstance(parent, desc):  # a parameter
            parameters = parent[0].findall(desc_parameter)
            return any(re.fullmatch(rf"\**{name}\b.*", p.astext()) for p in parameters)
        if isinstance(parent, nodes.section):
            return name in parent["ids"]
        return isinstance(parent, (nodes.reference, nodes.title, pending_xref))


def _parents(node: nodes.Node) -> Iterator[nodes.Node]:
    while node.parent is not None:
        node = node.parent
        yield node


def _resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """The link from a name to its section."""
    labels = env.domains.standard_domain.anonlabels
    page, target = labels.get(LABEL + node["reftarget"], ("", ""))
    if node["reftype"] != TYPE or not page:
        return None
    return make_refnode(app.builder, node["refdoc"], page, target, [content])


def _markdown(entry: Entry, depth: int = 6) -> str:
    fence = ":" * depth
    members = [_markdown(member, depth - 1) for member in entry.members]
    head = f"{fence}{{py:{entry.kind}}} {entry.signature}\n:no-index:"
    return "\n\n".join([head, entry.text, *members, fence])


def _open_link(translator: HTML5Translator, node: source_link) -> None:
    backend = {"data-framework": node["backend"]} if node["backend"] else {}
    attributes = {"href": node["address"], "class": "source", **backend}
    translator.body.append(translator.starttag(node, "a", "", **attributes))


def _close_link(translator: HTML5Translator, node: source_link) -> None:
    translator.body.append("</a>")


def _link_code(app, pagename, templatename, context, doctree):
    """Link names of `d2l` in a page's code."""
    labels = app.env.domains.standard_domain.anonlabels

    def linked(match: re.Match[str]) -> str:
        page, target = labels.get(LABEL + match[3], ("", ""))
        if not page:
            return match[0]
        address = f"{app.builder.get_relative_uri(pagename, page)}#{target}"
        return f'{match[1]}<a class="name" href="{address}">{match[2]}</a>'

    if doctree and context.get("body"):
        context["body"] = IN_CODE.sub(linked, context["body"])


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive, the transform and the links in code."""
    app.add_config_value("book_library", "", "", str)  # its version
    app.add_config_value("book_source", "", "env", str)  # where its files are shown
    app.add_directive("api", Reference)
    app.add_node(source_link, html=(_open_link, _close_link))
    app.add_transform(LinkNames)
    app.connect("missing-reference", _resolve)
    app.connect("html-page-context", _link_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
