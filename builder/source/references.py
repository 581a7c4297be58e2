"""The works that chapters cite: chapters/references.bib, and how prose names them.

Names and years are shown as sphinxcontrib-bibtex shows them on the site.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from builder import files
from builder.errors import chapter_error

if TYPE_CHECKING:
    from pybtex.database import Entry, Person
    from pybtex.style.formatting.plain import Style

FILE = Path("chapters", "references.bib")
_START = re.compile(
    r"^[ \t]*@\s*(?!comment)\w+\s*[{(]\s*(?P<key>[^\s,{}=]*)",
    re.MULTILINE | re.IGNORECASE,
)
# What to do about an error of pybtex's; the place that it tells, if it tells no line.
_REMEDIES = {
    r"repeated bibliography entry: (?P<key>.+)": "delete one, or rename it",
    r"entry with key (?P<key>\S+) has a duplicate": "delete one",
    r"Too many commas in '(?P<name>.+)'": "write names as Last, First, joined by and",
    r"'\(' or '{' expected": "write @ only where an entry begins",
    r"undefined string": "put the text in braces, or define the name with @string",
    "": "an entry is @type{key, name = {value}, name = {value}}",
}


def read(root: Path) -> dict[str, "Entry"]:
    """The entries of chapters/references.bib by key; none without the file.

    Raises BookError, with the line, where it is not valid BibTeX.
    """
    # Not pybtex's own lookup of the parser, which scans all installed packages.
    from pybtex.database.input.bibtex import Parser
    from pybtex.exceptions import PybtexError

    if not (root / FILE).exists():
        return {}
    text = files.read(root / FILE, FILE)
    try:
        return dict(Parser().parse_string(text).entries)
    except PybtexError as error:
        raise _located(error, text) from error


def check(cited: Mapping[str, "Entry"], root: Path) -> None:
    """Raise BookError, with the line, if an entry lacks what its readers are shown."""
    for key, entry in cited.items():
        if problem := _problem(entry):
            text = files.read(root / FILE, FILE)
            line = _line(text, key)
            raise _unbalanced(text, line) or chapter_error(
                FILE, line, f"the entry {key!r} {problem}"
            )


def _problem(entry):
    """What keeps `entry` from being shown, or None."""
    from pybtex.exceptions import PybtexError
    from pybtex.style.template import FieldIsMissing

    if not hasattr(style(), f"get_{entry.type}_template"):
        return f"is of the unknown type @{entry.original_type}: write @misc"
    try:
        if not all(map(_last_name, sum(entry.persons.values(), []))):
            return "has a person without a name: write Last, First, joined by and"
        author_year(entry)
        style().format_entry("", entry).text.render(_plaintext())
    except FieldIsMissing as error:
        return f"has no {error.field_name}: add a line {error.field_name} = {{…}},"
    except PybtexError as error:
        return f"cannot be shown ({error}): correct it"
    return None


def author_year(entry: "Entry") -> tuple[str, str]:
    """Whom, and which year, a citation of `entry` names."""
    from pybtex.richtext import Text
    from pybtex.style.template import FieldIsMissing

    persons = entry.persons.get("author") or entry.persons.get("editor") or []
    names = [*map(_last_name, persons)]
    if len(names) > 2:
        names = [f"{names[0]} *et al.*"]
    if not names:
        if "title" not in entry.fields:
            raise FieldIsMissing("author", entry)
        names = [f"*{Text.from_latex(entry.fields['title'])}*"]
    year = Text.from_latex(entry.fields.get("year") or "n.d.")
    return " and ".join(names), str(year)


def listed(entries: list["Entry"]) -> list[str]:
    """The `entries` in full, sorted by author."""
    formatted = style().format_entries(entries)
    return [entry.text.render(_plaintext()) for entry in formatted]


@cache
def style() -> "Style":
    """The style of the list of references."""
    # Imported directly: pybtex's own lookup scans all installed packages.
    from pybtex.style.formatting.plain import Style

    return Style()


@cache
def _plaintext():
    from pybtex.backends.plaintext import Backend

    return Backend()


def _last_name(person: "Person") -> str:
    return " ".join(map(str, person.rich_prelast_names + person.rich_last_names))


def _located(error, text):
    """The `error` of pybtex's at its line of `text`, with a remedy."""
    message = re.sub(r" in line \d+:", ":", str(error))
    found = ((re.search(p, message, re.DOTALL), r) for p, r in _REMEDIES.items())
    place, remedy = next((match.groupdict(), r) for match, r in found if match)
    line = getattr(error, "lineno", None) or _line(text, **place)
    if "'(' or '{'" in message:  # after a @, which pybtex has left behind
        line = text.count("\n", 0, error.error_context_info[0]) + 1
    problem = chapter_error(FILE, line, f"{message}: {remedy}")
    return _unbalanced(text, line) or problem


def _unbalanced(text, line):
    """The first entry up to that `line` with a brace that is not closed, or None."""
    starts = [*_START.finditer(text)]
    ends = [start.start() for start in starts[1:]] + [len(text)]
    for start, end in zip(starts, ends, strict=False):
        opened, closed = (text.count(brace, start.start(), end) for brace in "{}")
        first = text.count("\n", 0, start.start()) + 1
        if opened != closed and first <= line:
            return chapter_error(
                FILE,
                first,
                f"the entry {start['key']!r} opens {opened} braces and closes {closed}: "
                "close each of them once",
            )
    return None


def _line(text, key="", name=""):
    """The line of the last entry with that `key`, or of a person's `name`, or 1."""
    starts = _START.finditer(text)
    places = [start for start in starts if start["key"].lower() == key.lower() != ""]
    if name:
        pattern = r"\s+".join(map(re.escape, name.split()))
        places = [*re.finditer(pattern, text)]
    return text.count("\n", 0, places[-1].start()) + 1 if places else 1
