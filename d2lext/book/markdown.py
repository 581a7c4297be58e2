"""A chapter's prose as plain Markdown, for notebooks: no MyST role or directive left.

References become numbers, citations become authors and years, figures become images
with captions, equations carry their numbers as tags.
"""

import re

from d2lext.book.book import ADMONITIONS, EQUATION, FENCE, LITERAL, ROLE, options

IMAGES = "../../chapters/"  # from notebooks/<backend>/


def plain(cell, chapter, book):
    """The Markdown of a prose `cell` of `chapter` as any notebook viewer shows it."""
    text = re.sub(r"^\([\w-]+\)=\n+", "", cell.source, flags=re.MULTILINE)
    text = FENCE.sub(lambda match: _directive(match, chapter, book), text)
    text = LITERAL.sub(lambda match: match["code"] or _role(match, book), text)
    text = EQUATION.sub(lambda match: _equation(match, book), text)
    return re.sub(r"!\[([^\]]*)\]\((img/[^)]+)\)", rf"![\1]({IMAGES}\2)", text)


def _equation(match, book):
    if not match["label"]:
        return match[0]
    number = book.labels[match["label"]].number
    return f"$${match['formula'].rstrip()} \\tag{{{number}}}\n$$"


def _directive(match, chapter, book):
    name, argument = match["name"], match["argument"].strip()
    found, content = options(match["body"])
    if name == "figure":
        caption = _caption("Figure", found, content, book)
        return f"![{found['alt']}]({IMAGES}{argument})\n\n{caption}"
    if name == "table":
        return f"{_caption('Table', found, argument, book)}\n\n{content}"
    if name == "bibliography":
        return _bibliography(chapter, book)
    assert name in ADMONITIONS
    lines = [f"**{argument or name.capitalize()}.**", "", *content.splitlines()]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _caption(word, found, text, book):
    label = book.labels.get(found.get("name"))
    number = f" {label.number}" if label else ""
    return f"*{word}{number}.* {text}"


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
    from pybtex.plugin import find_plugin

    keys = {
        key.strip()
        for match in ROLE.finditer(chapter.text)
        if match["role"].startswith("cite")
        for key in match["target"].split(",")
    }
    entries = {key: book.references[key] for key in sorted(keys)}
    style = find_plugin("pybtex.style.formatting", "plain")()
    formatted = style.format_entries(entries.values())
    return "\n".join(f"- {entry.text.render(Backend())}" for entry in formatted)
