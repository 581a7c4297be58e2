"""Sphinx extension: citations in round brackets, as in the notebooks."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

from pybtex import plugin as pybtex_plugin
from pybtex.database import Entry
from pybtex.style import FormattedEntry
from pybtex.style.formatting.alpha import Style as Alpha
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata
from sphinxcontrib.bibtex.plugin import register_plugin
from sphinxcontrib.bibtex.style.referencing import BracketStyle
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle

# What pybtex would look for among all installed packages, for each list of references.
PLUGINS = {
    "pybtex.backends": ("docutils", "plaintext"),
    "pybtex.style.labels": ("alpha",),
    "pybtex.style.names": ("last", "plain"),
    "pybtex.style.sorting": ("author_year_title",),
}


def _round(separator: str) -> BracketStyle:
    return field(default_factory=lambda: BracketStyle("(", ")", sep=separator))


@dataclass
class RoundAuthorYear(AuthorYearReferenceStyle):
    """(He et al., 2016; Huang et al., 2017), or Huang et al. (2017)."""

    bracket_parenthetical: BracketStyle = _round("; ")
    bracket_textual: BracketStyle = _round(", ")


class Style(Alpha):
    """pybtex's style `alpha`, which formats a work once: many chapters may cite it."""

    formatted: ClassVar[dict[tuple[str, str], FormattedEntry]] = {}

    def format_entry(
        self, label: str, entry: Entry, bib_data: Any = None
    ) -> FormattedEntry:
        """The entry with its fields as text."""
        key = label, repr(entry)
        if key not in self.formatted or "crossref" in entry.fields:
            self.formatted[key] = super().format_entry(label, entry, bib_data)
        return self.formatted[key]


@cache
def _register() -> None:
    register_plugin(
        "sphinxcontrib.bibtex.style.referencing", "round_author_year", RoundAuthorYear
    )
    for group, names in PLUGINS.items():
        for name in names:
            found = pybtex_plugin.find_plugin(group, name)
            pybtex_plugin.register_plugin(group, name, found, force=True)
    group = "pybtex.style.formatting"
    pybtex_plugin.register_plugin(group, "alpha", Style, force=True)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the style of citations as `round_author_year`."""
    app.setup_extension("sphinxcontrib.bibtex")
    _register()
    return {"parallel_read_safe": True, "parallel_write_safe": True}
