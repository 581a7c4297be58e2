"""A chapter's prose as plain Markdown for notebooks, without MyST roles and directives.

References become numbers, citations become authors and years, figures become images
with captions, and equations end with their numbers.
"""

import re

from builder.source import references
from builder.source.book import Book
from builder.source.chapter import Chapter
from builder.source.markup import (
    ADMONITIONS,
    DIRECTIVE,
    EQUATION,
    LITERAL,
    ROLE,
    directive_options,
)

IMAGES = "../../chapters/"  # from notebooks/<backend>/
LABEL = re.compile(r"^\([\w-]+\)=\n+", re.MULTILINE)
IMAGE = re.compile(r"(!\[[^\]]*\]\()(img/[^)]+\))")
# A comment line; or a formula or code, where % means something else.
COMMENT = re.compile(
    r"\$\$.+?\$\$|`{3,}.+?`{3,}|^(?P<comment>%[^\n]*(?:\n|\Z))",
    re.MULTILINE | re.DOTALL,
)


def plain(source: str, chapter: Chapter, book: Book) -> str:
    """The Markdown that any notebook viewer shows for the prose `source` in `chapter`.

    Raises KeyError for a label, citation or directive that the book does not define.
    """
    text = COMMENT.sub(lambda match: "" if match["comment"] else match[0], source)
    text = LABEL.sub("", text)
    text = DIRECTIVE.sub(lambda match: _directive(match, chapter, book), text)
    text = LITERAL.sub(
        lambda match: match[0] if match["code"] else _role(match, book), text
    )
    text = EQUATION.sub(lambda match: _equation(match, book), text)
    return IMAGE.sub(rf"\1{IMAGES}\2", text)


def _equation(match, book):
    if not match["label"]:
        return match[0]
    number = book.labels[match["label"]].number
    # Not as \tag: GitLab would show the formula's source.
    return f"$${match['formula'].rstrip()} \\qquad ({number})\n$$"


def _directive(match, chapter, book):
    name, argument = match["name"], match["argument"].strip()
    given, content = directive_options(match["body"])
    if name == "figure":
        image = f"![{given['alt']}]({IMAGES}{argument})"
        return f"{image}\n\n{_caption('Figure', given, book)}{content}"
    if name == "table":
        return f"{_caption('Table', given, book)}{argument}\n\n{content}"
    if name == "bibliography":
        return _bibliography(chapter, book)
    if name not in ADMONITIONS:
        raise KeyError(name)
    lines = "".join(f"\n> {line}".rstrip() for line in content.splitlines())
    return f"> **{argument or name.capitalize()}.**\n>{lines}"


def _caption(word, given, book):
    label = book.labels.get(given.get("name"))
    number = f" {label.number}" if label else ""
    return f"*{word}{number}.* "


def _role(match, book):
    role, target = match["role"], match["target"]
    if role.startswith("cite:"):
        keys = map(str.strip, target.split(","))
        cited = [references.author_year(book.references[key]) for key in keys]
        if role == "cite:p":
            return f"({'; '.join(f'{authors}, {year}' for authors, year in cited)})"
        return ", ".join(f"{authors} ({year})" for authors, year in cited)
    label = book.labels[target]
    if role == "eq":
        return f"({label.number})"
    if role == "numref":
        return f"{label.kind.capitalize()} {label.number}"
    return f"*{label.title}*"


def _bibliography(chapter, book):
    """The references that the chapter cites, sorted by author."""
    keys = {
        key.strip()
        for match in ROLE.finditer(chapter.text)
        if match["role"].startswith("cite")
        for key in match["target"].split(",")
    }
    entries = [book.references[key] for key in sorted(keys)]
    return "\n".join(f"- {entry}" for entry in references.listed(entries))
