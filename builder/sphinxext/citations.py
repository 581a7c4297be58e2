"""Sphinx extension: citations in round brackets, as in the notebooks."""

from dataclasses import dataclass, field

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata
from sphinxcontrib.bibtex.plugin import register_plugin
from sphinxcontrib.bibtex.style.referencing import BracketStyle
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle


def _round(separator: str) -> BracketStyle:
    return field(default_factory=lambda: BracketStyle("(", ")", sep=separator))


@dataclass
class RoundAuthorYear(AuthorYearReferenceStyle):
    """(He et al., 2016; Huang et al., 2017), or Huang et al. (2017)."""

    bracket_parenthetical: BracketStyle = _round("; ")
    bracket_textual: BracketStyle = _round(", ")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the style as `round_author_year`."""
    app.setup_extension("sphinxcontrib.bibtex")
    group = "sphinxcontrib.bibtex.style.referencing"
    register_plugin(group, "round_author_year", RoundAuthorYear)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
