"""The whole book: its chapters, what their labels stand for, its references.

Numbers follow Sphinx's rules, so that a notebook and the page agree: figures, tables
and equations count within a chapter, sections within theirs.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from builder.errors import BookError
from builder.source import chapter as chapters

FENCE = re.compile(
    r"^(?P<fence>:{3,})\{(?P<name>[\w:-]+)\}[ ]*(?P<argument>[^\n]*)\n"
    r"(?P<body>.*?)^(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)
HEADING = re.compile(
    r"^(?:\((?P<label>[\w-]+)\)=\n+)?(?P<marks>#+) (?P<text>.+)$", re.M
)
EQUATION = re.compile(r"\$\$(?P<formula>.+?)\$\$[ ]*(?:\((?P<label>[\w-]+)\))?", re.S)
ROLE = re.compile(r"\{(?P<role>[\w:]+)\}`(?P<target>[^`]+)`")
IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<source>[^)]+)\)")
# Code in prose is no place for a role, a formula or an image. A role is matched first:
# its backticks open no code.
LITERAL = re.compile(
    ROLE.pattern + r"|(?P<code>(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))", re.DOTALL
)

ROLES = ("ref", "numref", "eq", "cite:p", "cite:t")
ADMONITIONS = ("note", "tip", "warning", "important")
DIRECTIVES = ("figure", "table", "bibliography", *ADMONITIONS)


@dataclass(frozen=True)
class Label:
    """What a label stands for: `kind` is figure, table, equation or section."""

    kind: str
    number: str
    title: str
    chapter: str
    line: int


def options(body):
    """The `:name: value` lines that a directive's body begins with, and the rest."""
    found, lines = {}, body.splitlines()
    while lines and (match := re.match(r":([\w-]+):\s*(.*)$", lines[0])):
        found[match[1]] = match[2].strip()
        lines.pop(0)
    return found, "\n".join(lines).strip()


class Book:
    """The chapters under `root`/chapters, read and checked."""

    def __init__(self, root):
        self.root = Path(root)
        folder = self.root / "chapters"
        paths = sorted(folder.glob("[0-9]*.md"))
        if not paths:
            raise BookError(f"{folder} holds no chapter: name one NN-name.md")
        self.chapters = [chapters.read(path, self.root) for path in paths]
        self.labels = {}
        for chapter in self.chapters:
            self._collect_labels(chapter)
        for chapter in self.chapters:
            self._check_references(chapter)

    def select(self, names):
        """The chapters called `names`, all if there are none."""
        return [self.find(name) for name in names] or self.chapters

    def find(self, name):
        """The chapter called `name` (`densenet`, `01-densenet` or its file)."""
        for chapter in self.chapters:
            if Path(name).stem in (chapter.name, chapter.stem):
                return chapter
        names = ", ".join(chapter.name for chapter in self.chapters)
        raise BookError(f"unknown chapter {name!r}: choose from {names}")

    @cached_property
    def references(self):
        """The entries of chapters/references.bib, by key."""
        # Not pybtex's own search for the parser, which looks through all packages.
        from pybtex.database.input.bibtex import Parser

        path = self.root / "chapters" / "references.bib"
        return dict(Parser().parse_file(str(path)).entries) if path.exists() else {}

    def _collect_labels(self, chapter):
        count = dict.fromkeys(("figure", "table", "equation", "section"), 0)
        for cell in _prose(chapter):
            text = _blank_literals(cell.source)
            if match := re.search(r"^`{3,}\{", cell.source, re.MULTILINE):
                raise chapter.error(
                    _line(cell, match.start()),
                    "a directive in prose stands between colons: write :::{name} … :::",
                )
            found = []  # (position, kind, label, title), to be numbered in order
            for match in FENCE.finditer(text):
                self._check_directive(chapter, cell, match)
                if match["name"] in ("figure", "table"):
                    title = match["argument"] if match["name"] == "table" else ""
                    label = options(match["body"])[0].get("name")
                    found.append((match.start(), match["name"], label, title))
            for match in EQUATION.finditer(text):
                if match["label"]:
                    found.append((match.start(), "equation", match["label"], ""))
            for match in HEADING.finditer(text):
                if len(match["marks"]) == 1 and match["label"]:
                    label = Label(
                        "section",
                        str(chapter.number),
                        match["text"],
                        chapter.stem,
                        _line(cell, match.start()),
                    )
                    self._add(chapter, match["label"], label)
                elif len(match["marks"]) == 2:
                    found.append(
                        (match.start(), "section", match["label"], match["text"])
                    )
            for position, kind, name, title in sorted(found):
                count[kind] += 1
                if name:
                    number = f"{chapter.number}.{count[kind]}"
                    line = _line(cell, position)
                    self._add(
                        chapter, name, Label(kind, number, title, chapter.stem, line)
                    )
            for match in IMAGE.finditer(text):
                line, file = _line(cell, match.start()), match["source"].split()[0]
                if not match["alt"].strip():
                    raise chapter.error(
                        line,
                        f"the image {file} has no alternative text: describe it "
                        "between the brackets, ![what it shows](file)",
                    )
                if file.startswith("img/"):
                    self._check_image(chapter, line, file)

    def _add(self, chapter, name, label):
        if name in self.labels:
            first = self.labels[name]
            raise chapter.error(
                label.line,
                f"the label {name!r} is already used at chapters/{first.chapter}.md:"
                f"{first.line}: choose another",
            )
        self.labels[name] = label

    def _check_directive(self, chapter, cell, match):
        line = _line(cell, match.start())
        name = match["name"]
        if name not in DIRECTIVES:
            raise chapter.error(
                line, f"unknown directive {name!r}: choose from {', '.join(DIRECTIVES)}"
            )
        if name != "figure":
            return
        found, caption = options(match["body"])
        file = match["argument"].strip()
        if not found.get("alt"):
            raise chapter.error(
                line,
                f"the figure {file} has no alternative text: add a line "
                "`:alt: what the figure shows` for readers who cannot see it",
            )
        if not caption:
            raise chapter.error(
                line, f"the figure {file} has no caption: add it below the options"
            )
        self._check_image(chapter, line, file)

    def _check_image(self, chapter, line, file):
        if not (self.root / "chapters" / file).is_file():
            raise chapter.error(
                line, f"there is no image chapters/{file}: add it, or correct its name"
            )

    def _check_references(self, chapter):
        for cell in _prose(chapter):
            for match in ROLE.finditer(_blank_literals(cell.source)):
                line = _line(cell, match.start())
                role, target = match["role"], match["target"]
                if role not in ROLES:
                    raise chapter.error(
                        line, f"unknown role {role!r}: choose from {', '.join(ROLES)}"
                    )
                if role.startswith("cite"):
                    for key in target.split(","):
                        if key.strip() not in self.references:
                            raise chapter.error(
                                line,
                                f"unknown citation {key.strip()!r}: add it to "
                                "chapters/references.bib or correct the key",
                            )
                elif target not in self.labels:
                    raise chapter.error(
                        line,
                        f"unknown label {target!r}: define it with ({target})= or "
                        f":name: {target}, or correct the reference",
                    )


def _prose(chapter):
    return [cell for cell in chapter.cells if cell.kind == "markdown"]


def _line(cell, position):
    return cell.line + cell.source.count("\n", 0, position)


def _blank_literals(text):
    """`text` with inline code replaced by spaces; positions stay the same."""
    return LITERAL.sub(
        lambda match: re.sub(r"[^\n]", " ", match[0]) if match["code"] else match[0],
        text,
    )
