"""A chapter's prose as plain Markdown, for notebooks: no MyST role or directive left.

References become numbers, citations become authors and years, figures become images
with captions, equations end with their numbers.
"""

import re
from functools import cache

from builder.notebooks.traced import Traced
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
IMAGE = re.compile(r"!\[[^\]]*\]\((?P<source>img/[^)]+)\)")
# A line of comment, or a formula or code, in which % means something else.
COMMENT = re.compile(
    r"\$\$.+?\$\$|`{3,}.+?`{3,}|^(?P<comment>%[^\n]*(?:\n|\Z))",
    re.MULTILINE | re.DOTALL,
)


def plain(cell, chapter, book):
    """The Markdown of a prose `cell` of `chapter` as any notebook viewer shows it."""
    return traced(cell.source, chapter, book).text


def traced(source, chapter, book):
    """As `plain`, of the `source` of a cell; knows where each character comes from."""
    text = Traced(source)
    text = text.sub(COMMENT, lambda match: [] if match["comment"] else [match.span()])
    text = text.sub(LABEL, lambda match: [])
    text = text.sub(DIRECTIVE, lambda match: _directive(match, chapter, book))
    text = text.sub(LITERAL, lambda match: _inline(match, book))
    text = text.sub(EQUATION, lambda match: _equation(match, book))
    return text.sub(IMAGE, _image)


# Each of these returns the pieces that take a match's place: spans of the text that it
# was found in, and generated text.


def _image(match):
    start = match.start("source")
    return [(match.start(), start), IMAGES, (start, match.end())]


def _inline(match, book):
    return [match.span()] if match["code"] else [_role(match, book)]


def _equation(match, book):
    if not match["label"]:
        return [match.span()]
    number = book.labels[match["label"]].number
    end = match.start("formula") + len(match["formula"].rstrip())
    # Not as \tag: GitLab shows the source of a formula with one.
    return [(match.start(), end), f" \\qquad ({number})\n$$"]


def _directive(match, chapter, book):
    name, (found, content) = match["name"], directive_options(match["body"])
    argument = _stripped(match, "argument")
    # No option's value reaches beyond its line, so the content is what the body ends on.
    start = match.start("body") + match["body"].rindex(content)
    body = (start, start + len(content))
    if name == "figure":
        image = f"]({IMAGES}{match['argument'].strip()})\n\n"
        caption = _caption("Figure", found, book)
        return ["![", _option(match, "alt"), image, caption, body]
    if name == "table":
        return [_caption("Table", found, book), argument, "\n\n", body]
    if name == "bibliography":
        return [_bibliography(chapter, book)]
    assert name in ADMONITIONS
    pieces = ["> **", argument if match["argument"].strip() else name.capitalize()]
    pieces.append(".**\n>")
    for line in content.splitlines(keepends=True):
        pieces += [
            "\n> " if line.strip() else "\n>",
            (start, start + len(line.rstrip())),
        ]
        start += len(line)
    return pieces


def _stripped(match, group):
    start = match.start(group) + len(match[group]) - len(match[group].lstrip())
    return (start, start + len(match[group].strip()))


def _option(match, name):
    value = re.compile(rf"^:{name}:[^\S\n]*(.*?)[^\S\n]*$", re.MULTILINE)
    return value.search(match.string, match.start("body")).span(1)


def _caption(word, found, book):
    label = book.labels.get(found.get("name"))
    number = f" {label.number}" if label else ""
    return f"*{word}{number}.* "


def _role(match, book):
    role, target = match["role"], match["target"]
    if role == "cite:p":
        cited = [
            _author_year(book.references[key.strip()]) for key in target.split(",")
        ]
        return "(" + "; ".join(f"{authors}, {year}" for authors, year in cited) + ")"
    if role == "cite:t":
        cited = [
            _author_year(book.references[key.strip()]) for key in target.split(",")
        ]
        return ", ".join(f"{authors} ({year})" for authors, year in cited)
    label = book.labels[target]
    if role == "eq":
        return f"({label.number})"
    if role == "numref":
        return f"{label.kind.capitalize()} {label.number}"
    return f"*{label.title}*"


def _author_year(entry):
    names = [" ".join(person.last_names) for person in entry.persons["author"]]
    if len(names) > 2:
        names = [f"{names[0]} *et al.*"]
    return " and ".join(names), entry.fields["year"]


def _bibliography(chapter, book):
    """The references that the chapter cites, in the order of their authors."""
    from pybtex.backends.plaintext import Backend

    keys = {
        key.strip()
        for match in ROLE.finditer(chapter.text)
        if match["role"].startswith("cite")
        for key in match["target"].split(",")
    }
    entries = {key: book.references[key] for key in sorted(keys)}
    formatted = _style().format_entries(entries.values())
    return "\n".join(f"- {entry.text.render(Backend())}" for entry in formatted)


@cache
def _style():
    # Not by pybtex's own search for a style, which looks through all packages.
    from pybtex.style.formatting.plain import Style

    return Style()
