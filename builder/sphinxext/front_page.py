"""Sphinx extension: what the front page says of the book and of each chapter.

Four directives, whose content other files give: `{buttons}` has what the site offers,
`{chapters}` a card for each chapter, `{training-times}` how long they trained, `{citation}`
how to cite the book. Where there are no styles, as in print, cards are a list.
"""

from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import OnlyNodeTransform
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

# What a card says before these of its lines.
WORDS = {"time": "Time", "needs": "You need"}


class buttons(nodes.General, nodes.Element):  # noqa: N801, as docutils names nodes
    """The place of the buttons."""


class Buttons(SphinxDirective):
    """The place of the buttons, which templates/buttons.html writes."""

    def run(self) -> list[nodes.Node]:
        """Make the node."""
        return [buttons()]


class Chapters(SphinxDirective):
    """A list with each chapter's title and card."""

    def run(self) -> list[nodes.Node]:
        """Make the list."""
        items = [
            nodes.list_item("", *self._card(number, name, card))
            for number, (name, card) in enumerate(self.config.book_cards.items(), 1)
        ]
        return [nodes.bullet_list("", *items, classes=["cards"])] if items else []

    def _card(
        self, number: int, name: str, card: dict[str, Any]
    ) -> list[nodes.paragraph]:
        title = nodes.strong("", f"{number} ", _link(name))
        lines = [nodes.paragraph("", "", title, classes=["title"])]
        for field, (text, line) in card.items():
            parsed, messages = self.parse_inline(text, lineno=self.lineno)
            words = [nodes.Text(f"{WORDS[field]}: ")] if field in WORDS else []
            shown = nodes.paragraph("", "", *words, *parsed, classes=[field])
            for node in shown.findall(nodes.Element):  # a mistake is the chapter's
                node.source, node.line = self.env.doc2path(name), line
            lines += [shown, *messages]
        return lines


class TrainingTimes(SphinxDirective):
    """A table of how long trainings took, as recorded; nothing without any."""

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        frameworks, rows = self.config.book_trainings
        if not rows:
            return []
        numbers = {name: i for i, name in enumerate(self.config.book_cards, 1)}
        group = nodes.tgroup(cols=2 + len(frameworks))
        group += [
            nodes.colspec(colwidth=width) for width in (30, 24, *[12] * len(frameworks))
        ]
        head = map(nodes.Text, ("Training", "On", *frameworks))
        group += nodes.thead("", _row(head))
        body = nodes.tbody()
        for name, what, device, times in rows:
            chapter = _link(name, f"Chapter {numbers[name]}")
            first = nodes.inline("", "", chapter, nodes.Text(f": {what}"))
            body += _row([first, *map(nodes.Text, (device, *times))])
        group += body
        return [nodes.table("", group, classes=["times"])]


class Citation(SphinxDirective):
    """The book as an entry of BibTeX."""

    def run(self) -> list[nodes.Node]:
        """Make the block."""
        fields = self.config.book_citation
        key = nodes.make_id(fields["title"].split()[0]) + fields["year"]
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
        text = "\n".join([f"@book{{{key},", *lines, "}"])
        return [nodes.literal_block(text, text, language="bibtex")]


class OnlyFirst(OnlyNodeTransform):
    """Drop what is for other forms before its references are resolved.

    They may lead to pages that this form has not.
    """

    default_priority = 5


def _link(name: str, text: str = "") -> pending_xref:
    """A link to the page `name`, with its title unless there is a `text`."""
    return pending_xref(
        "",
        nodes.inline("", text),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{name}",
        refexplicit=bool(text),
        refwarn=True,
    )


def _row(cells: Any) -> nodes.row:
    return nodes.row("", *[nodes.entry("", nodes.paragraph("", "", c)) for c in cells])


def _visit_buttons(translator: HTML5Translator, node: buttons) -> None:
    """Write them; each form without them skips the node."""
    builder: Any = translator.builder
    first = next(iter(builder.config.book_cards), builder.config.root_doc)
    context = {**builder.globalcontext, "first": builder.get_target_uri(first)}
    translator.body.append(builder.templates.render("buttons.html", context))
    raise nodes.SkipNode


def _skip(translator: nodes.NodeVisitor, node: nodes.Node) -> None:
    raise nodes.SkipNode


def _root(app: Sphinx, env: BuildEnvironment, *pages: set[str]) -> list[str]:
    """The front page is read each time: it says what others have."""
    return [app.config.root_doc]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register directives, transforms and settings."""
    app.add_config_value("book_cards", {}, "", dict)
    app.add_config_value("book_trainings", ([], []), "")
    app.add_config_value("book_citation", {}, "", dict)
    app.add_directive("buttons", Buttons)
    app.add_directive("chapters", Chapters)
    app.add_directive("training-times", TrainingTimes)
    app.add_directive("citation", Citation)
    no_buttons = (_skip, None)
    app.add_node(
        buttons,
        html=(_visit_buttons, None),
        epub=no_buttons,
        latex=no_buttons,
        revealjs=no_buttons,
    )
    app.add_post_transform(OnlyFirst)
    app.connect("env-get-outdated", _root)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
