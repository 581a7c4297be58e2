"""Read a chapter: its cells with their lines, tags and options.

Everything that can be wrong in a chapter is found here or, where it takes the whole
book to know, in `book`: what comes later works on chapters that are right.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import yaml
from jupytext import myst

from builder.errors import chapter_error
from builder.source import python
from d2lext.core import frameworks

TAGS = {
    "export": "write this cell's definitions to the library",
    "exercise": "belongs to an exercise",
    "solution": "belongs to a solution",
    "slide": "shown in lectures: code there as well, text there alone",
    "notes": "text for the lecturer, on the slide before",
    "train": "takes long; shortened and not compared in tests",
}
OPTIONS = {
    "tags": "a list of tags",
    "expect": "the output that the cell must show: one text, or one per framework",
    "alt": "a description of the cell's plot for those who cannot see it",
    "lines": "which lines a slide shows, such as 3-9; all of them if not given",
}
_COUNTED = re.compile(
    r"^\w+ cell \d+ at line \d+ (could not be read: )?|: line 1 column \d+ \(char \d+\)$"
)


@dataclass(frozen=True)
class Cell:
    """A cell of a chapter; `line` is that of its first line of source."""

    kind: str  # "code" or "markdown"
    source: str
    line: int
    tags: tuple[str, ...] = ()
    expect: dict[str, str] = field(default_factory=dict)  # by backend
    alt: str = ""
    lines: tuple[int, int] | None = None  # on a slide: the first and the last

    @property
    def is_for_lectures(self):
        """Whether only a lecture shows the cell."""
        return self.kind == "markdown" and bool({"slide", "notes"} & set(self.tags))

    @property
    def backends(self):
        """The frameworks that this cell is for, all four when it names none."""
        return tuple(b for b in frameworks.IDS if b in self.tags) or frameworks.IDS

    @property
    def for_all(self):
        """Whether the cell is for every framework."""
        return self.backends == frameworks.IDS


@dataclass(frozen=True)
class Chapter:
    """A chapter of the book, as its author wrote it."""

    path: Path  # as shown in messages, relative to the project
    text: str
    cells: tuple[Cell, ...]  # those of the book: without what only a lecture shows
    lecture: tuple[Cell, ...] = ()  # all of its cells

    @property
    def stem(self):
        """File name without ending, such as `01-densenet`."""
        return self.path.stem

    @property
    def name(self):
        """What the chapter is called on the command line, such as `densenet`."""
        return self.stem.partition("-")[2]

    @property
    def number(self):
        """Its number in the book, from the file name."""
        return int(self.stem.partition("-")[0])

    @cached_property
    def title(self):
        """The text of its first heading."""
        return re.search(r"^# (.+)$", self.text, re.MULTILINE)[1].strip()

    @property
    def is_shared(self):
        """Whether its code is the same for every framework, so that it runs once."""
        return all(cell.for_all for cell in self.cells if cell.kind == "code")

    def cells_for(self, backend):
        """The cells that a reader of `backend` sees, in order."""
        return [cell for cell in self.cells if backend in cell.backends]

    def error(self, line, message):
        """A BookError at `line` of this chapter."""
        return chapter_error(self.path, line, message)


def read(path, root):
    """The chapter in the file `path`; raises BookError where it breaks a rule."""
    return parse(Path(path).read_text(encoding="utf-8"), Path(path).relative_to(root))


def parse(text, shown):
    """The chapter that `text` is, which messages call `shown`; raises as `read` does."""
    _check_name(shown)
    _check_fences(shown, text)
    notebook = myst.myst_to_notebook(text, add_source_map=True)
    lines = text.splitlines()
    cells = []
    starts = notebook.metadata["source_map"]
    for cell, start in zip(notebook.cells, starts, strict=True):
        cells.append(_cell(cell, _first_line(cell, lines, start), shown))
        _check_code(cells[-1], shown)
    if not re.search(r"^# \S", text, re.MULTILINE):
        raise chapter_error(shown, 1, "a chapter begins with a title: `# Title`")
    own = tuple(cell for cell in cells if not cell.is_for_lectures)
    return Chapter(shown, text, own, tuple(cells))


def _check_name(path):
    if not re.fullmatch(r"\d\d-[a-z0-9-]+", path.stem):
        raise chapter_error(
            path, 1, "a chapter's file is named NN-name.md, such as 01-densenet.md"
        )


def _check_fences(path, text):
    """Find unclosed fences and options that are no YAML, with their lines."""
    lines, breaks = text.splitlines(), set()
    for token in myst.get_parser().parse(text + "\n"):
        if token.type == "myst_block_break":
            breaks.add(token.map[0] + 1)
            _check_options(path, token, lambda token: myst.read_cell_metadata(token, 0))
            _check_text_follows(path, token, lines)
        if token.type != "fence":
            continue
        first, end = token.map
        closing = lines[end - 1].strip() if end <= len(lines) else ""
        closed = re.fullmatch(rf"{re.escape(token.markup)}{token.markup[0]}*", closing)
        # An unclosed fence swallows the next one, up to that one's end.
        swallowed = re.search(rf"^{token.markup}\{{", token.content, re.MULTILINE)
        if end - first < 2 or not closed or swallowed:
            raise chapter_error(
                path,
                first + 1,
                f"this fence is never closed: end it with a line {token.markup}",
            )
        if token.info.startswith("{code-cell}"):
            _check_options(
                path, token, lambda token: myst.read_fenced_cell(token, 0, "Code")
            )
    # A directive in colons is no token here: Sphinx's parser reads it later.
    opened, within = [], []
    for number, line in enumerate(lines, 1):
        if opened and number in breaks:
            within.append((number, *opened[-1]))
        if match := re.match(r"(:{3,})(\{.*)?\s*$", line):
            if match[2]:
                opened.append((match[1], number))
            elif opened and opened[-1][0] == match[1]:
                opened.pop()
    if opened:
        markup, number = opened[-1]
        raise chapter_error(
            path, number, f"this fence is never closed: end it with a line {markup}"
        )
    for number, markup, first in within:
        raise chapter_error(
            path,
            number,
            f"a cell begins within the directive of line {first}: end that one with a "
            f"line {markup} before this line +++",
        )


def _check_text_follows(path, token, lines):
    """Raise if a line +++ has options for a cell of text, and there is no such cell."""
    following = next(filter(str.strip, lines[token.map[1] :]), "+++")
    if token.content.strip() and re.match(r"\+\+\+|`{3,}\{code-cell\}", following):
        raise chapter_error(
            path,
            token.map[0] + 1,
            f"the options {token.content.strip()} are for a cell of text, and none "
            "follows: write those of a code cell within it, as in `:tags: [solution]`",
        )


def _check_options(path, token, parse):
    """Raise unless the options of the cell at `token` are ones that a cell has."""
    line = token.map[0] + 1
    try:
        parsed = parse(token)
        options = parsed[0] if isinstance(parsed, tuple) else parsed
        detail = None if isinstance(options, dict) else f"{options!r} names no option"
    except (myst.MystMetadataParsingError, yaml.YAMLError) as error:
        # Without the lines that jupytext and its parsers count in their own ways.
        detail = _COUNTED.sub("", " ".join(str(error).split()))
    if detail:
        remedy = "as YAML between two lines --- or each after a colon, such as "
        remedy += "`:tags: [torch, export]`"
        if token.type == "myst_block_break":
            remedy = 'as JSON behind it, such as `+++ {"tags": ["torch"]}`'
        raise chapter_error(
            path,
            line,
            f"the cell's options are not valid ({detail}): write them {remedy}",
        )
    for option in options:
        if option not in OPTIONS:
            raise chapter_error(
                path,
                line,
                f"unknown cell option {option!r}: choose from {_list(OPTIONS)}",
            )
    tags, alt = options.get("tags", []), options.get("alt", "")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise chapter_error(
            path, line, f"tags must be a list such as [torch, export], got {tags!r}"
        )
    for tag in tags:
        if tag not in TAGS and tag not in frameworks.IDS:
            known = _list([*frameworks.IDS, *TAGS])
            raise chapter_error(path, line, f"unknown tag {tag!r}: choose from {known}")
    if not isinstance(alt, str):
        raise chapter_error(path, line, f"alt must be a text, got {alt!r}")
    lines = str(options.get("lines", "1-1"))
    if not re.fullmatch(r"[1-9]\d*-[1-9]\d*", lines):
        raise chapter_error(path, line, f"lines must be such as 3-9, got {lines!r}")


def _first_line(cell, lines, start):
    """The line number (from 1) of a cell's first line of source."""
    wanted = cell.source.splitlines()[0] if cell.source else ""
    if cell.cell_type == "code" and lines[start : start + 1] == ["---"]:
        start = lines.index("---", start + 1) + 1
    while start < len(lines) and lines[start] != wanted:
        start += 1
    return start + 1


def _check_code(cell, path):
    if cell.kind != "code":
        return
    try:
        python.parse(cell.source)
    except SyntaxError as error:
        line = cell.line + (error.lineno or 1) - 1
        raise chapter_error(path, line, f"this is no Python: {error.msg}") from error


def _cell(cell, line, path):
    options = cell.metadata
    tags, alt = tuple(options.get("tags", ())), options.get("alt", "")
    lines = None
    if "lines" in options:
        lines = tuple(map(int, options["lines"].split("-")))
        if not lines[0] <= lines[1] <= len(cell.source.splitlines()):
            message = f"lines: the cell has no lines {options['lines']}"
            raise chapter_error(path, line, message)
    result = Cell(cell.cell_type, cell.source, line, tags, alt=alt, lines=lines)
    result.expect.update(_expect(options.get("expect"), result, path))
    return result


def _expect(value, cell, path):
    if value is None:
        return {}
    if not isinstance(value, dict):
        return dict.fromkeys(cell.backends, str(value))
    for backend in value:
        if backend not in cell.backends:
            raise chapter_error(
                path,
                cell.line,
                f"expect names {backend!r}, which this cell is not for: choose from "
                f"{_list(cell.backends)}",
            )
    return {backend: str(text) for backend, text in value.items()}


def _list(names):
    return ", ".join(names)
