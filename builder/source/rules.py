"""Rules that a chapter's prose must follow, so that each form of the book can show it."""

import re
from pathlib import Path
from urllib.parse import unquote

from builder import files
from builder.errors import BookError
from builder.source import html, images, instead, latex, syntax, tables
from builder.source.chapter import Cell, Chapter
from builder.source.labels import kind_of
from builder.source.prose import DIRECTIVES, REMARKS, Element, Prose

# Between backticks: its name, and what follows.
DIRECTIVE = re.compile(r"\{\.?([^\s}]*)[^}]*\}?\s*(.*)")
# What not every form can show, and what to write.
UNKNOWN = {
    "footnote": "notebooks show no footnotes: put the remark into the sentence, or into "
    "a :::{note}",
    "definition list": "notebooks show no definition lists: write a list, such as "
    "`- **term**: what it means`",
    "struck text": "only notebooks strike text out: leave it out",
    "task": "only notebooks show boxes to tick: write the item without `[ ]`",
}


def check(chapter: Chapter, folder: Path) -> None:
    """Raise BookError where the prose breaks a rule; images are relative to `folder`."""
    _Rules(chapter, folder).check()


class _Rules:
    """The rules for a `chapter` whose images are in `folder`."""

    def __init__(self, chapter: Chapter, folder: Path) -> None:
        self._chapter, self._folder = chapter, folder
        self._lines = chapter.text.split("\n")
        self._level = 0  # of the last heading
        self._definitions: dict[str, Element] = {}  # of links' addresses

    def check(self) -> None:
        """Raise BookError at the first rule that is broken."""
        for cell in self._chapter.lecture:
            if cell.kind == "markdown":
                self._check(cell, cell.prose, None)
        if self._definitions:
            self._check_far_links()

    def _check_far_links(self) -> None:
        """A link whose address is in another cell is one on the site alone."""
        known = {name: {"href": "img/", "title": ""} for name in self._definitions}
        for cell in self._chapter.prose:
            near = cell.prose.of("link") + cell.prose.of("image")
            prose = Prose(cell.source, cell.line, references=known)
            places = {(element.line, element.start) for element in near}
            for element in prose.of("link") + prose.of("image"):
                if (element.line, element.start) not in places:
                    raise self._error(
                        element,
                        f"the address of {element.written} is in another cell, or in a "
                        "directive: write it here, as [text](address)",
                    )

    def _check_definition(self, element: Element) -> None:
        name = element.token.meta["id"]
        first = self._definitions.setdefault(name, element)
        if first is not element:
            raise self._error(
                element,
                f"the address of [{name.lower()}] is already given on line {first.line}: "
                "write it into the link, as [text](address)",
            )

    def _check(self, cell: Cell, prose: Prose, parent: Element | None) -> None:
        if not parent or parent.name != "table" or _is_table(parent):
            for line, fault in tables.faults(prose):
                raise self._chapter.error(line, fault)
        faults = {id(token): fault for token, fault in html.faults(prose.tokens)}
        for element in prose.elements:
            kind = element.kind
            if kind in UNKNOWN:
                raise self._error(element, UNKNOWN[kind])
            if kind == "break":
                raise self._error(element, _in_directive(parent))
            if kind in latex.KINDS and (fault := latex.fault(element.content)):
                raise self._error(element, fault)
            if kind == "fence":
                self._check_fence(element)
            elif kind == "directive":
                self._check_closed(element)
            elif element.level and not cell.is_for_lectures:
                self._check_heading(cell, element)
            elif kind == "rule" and (parent or element.token.level or _is_apart(cell)):
                raise self._error(
                    element,
                    "a line across the page is for a cell for all, not inside of a list, "
                    "a quote or a directive: remove it",
                )
            elif kind == "role" and element.name not in instead.ROLES:
                raise self._error(element, instead.of_role(element.name))
            elif kind == "image":
                self._check_image(element)
            elif kind == "definition":
                self._check_definition(element)
            elif kind == "link":
                self._check_link(element)
            elif kind == "html" and id(element.token) in faults:
                raise self._error(element, faults[id(element.token)])
            elif kind == "attributes" and element.token.attrGet("id"):
                raise self._error(
                    element,
                    f"{{#{element.token.attrGet('id')}}} is not a label here: write it on "
                    f"a line ({element.token.attrGet('id')})= before a heading",
                )
            for part in (element.caption, element.body):
                if part:
                    self._check(cell, part, element)
            if kind == "directive":
                self._check_directive(element)
            if kind_of(element) and not (self._level or cell.is_for_lectures):
                raise self._error(
                    element,
                    "what has a number goes below the chapter's title: move it there",
                )

    def _check_heading(self, cell: Cell, element: Element) -> None:
        if element.level == 1 and self._level:
            raise self._error(
                element,
                f"a chapter has one title: make this a section, ## {element.content}",
            )
        if element.level > self._level + 1:
            raise self._error(
                element,
                f"a heading of level {element.level} cannot follow one of level "
                f"{self._level}: write {'#' * (self._level + 1)} {element.content}",
            )
        if _is_apart(cell):
            raise self._error(
                element,
                "sections are numbered for all readers, so a cell for one framework "
                "or with a solution has no heading: move it to a cell for all, or "
                "write it in **bold**",
            )
        self._level = element.level

    def _check_fence(self, element: Element) -> None:
        if element.token.info.startswith(syntax.CODE_CELL):
            raise self._error(
                element,
                "a code cell is a block by itself: end the list or quote before it",
            )
        if match := DIRECTIVE.match(element.token.info.strip()):
            raise self._error(element, instead.of_backticks(*match.groups()))
        self._check_closed(element)

    def _check_closed(self, element: Element) -> None:
        path, line = self._chapter.path, element.line
        syntax.check_closed(path, element.token, line, self._lines)

    def _check_directive(self, element: Element) -> None:
        name, file = element.name, element.content.strip()
        if not name:
            raise self._error(
                element,
                f"this directive has no name: write :::{{note}} or one of "
                f"{', '.join(DIRECTIVES)}, with a space before what follows",
            )
        if name not in DIRECTIVES:
            raise self._error(element, instead.of_directive(name))
        if element.fault:
            raise self._error(element, f"in :::{{{name}}}: {element.fault}")
        if name in REMARKS and not (element.body and element.body.text.strip()):
            raise self._error(
                element,
                f"this {name} has no text: write it below :::{{{name}}}, on whose line a "
                "title may stand",
            )
        if name == "table" and element.labels and not element.caption:
            raise self._error(
                element,
                "a table without a caption has no number to refer to: write the caption "
                "after :::{table}, or remove the label",
            )
        if name == "table" and not _is_table(element):
            raise self._error(
                element,
                "a :::{table} holds one table and nothing else: write its rows like "
                "| a | b |, with as many |--- below the first as it has columns, and in a "
                "cell | as \\|",
            )
        if name != "figure":
            return
        assert element.body
        if not element.options.get("alt"):
            raise self._error(
                element,
                f"the figure {file} has no alternative text: add a line "
                "`:alt: what the figure shows` for readers who cannot see it",
            )
        if not element.body.paragraph:
            raise self._error(
                element, f"the figure {file} has no caption: add it below the options"
            )
        self._check_file(element, file)
        if script := element.options.get("script", "").strip():
            self._check_script(element, file, script)

    def _check_script(self, element: Element, file: str, script: str) -> None:
        path = self._folder / script
        in_folder = script.startswith("img/") and ".." not in script
        if not (in_folder and script.endswith(images.SCRIPT)):
            raise self._error(
                element,
                f"a figure's script is beside the images, such as img/name.js, but this is "
                f"{script}: move it there",
            )
        if not path.is_file():
            raise self._error(
                element,
                f"there is no script chapters/{script}: add it, or correct its name",
            )
        if not file.lower().endswith(".svg"):
            raise self._error(
                element,
                f"a script changes the parts of a drawing in SVG, which {file} has not: "
                "draw it as SVG, or remove `:script:`",
            )
        text = files.read(path, Path("chapters", script))
        if match := re.search(r"</script|<!--", text, re.IGNORECASE):
            raise self._error(
                element,
                f"chapters/{script} becomes a part of the page, which {match[0]} would "
                "end: write it with a backslash after the first character",
            )

    def _check_image(self, element: Element) -> None:
        file = element.content
        if not element.token.content.strip():
            raise self._error(
                element,
                f"the image {file} has no alternative text: describe it "
                "between the brackets, ![what it shows](file)",
            )
        if not re.match(r"[a-z][a-z0-9+.-]*:", file, re.IGNORECASE):
            self._check_file(element, file)

    def _check_file(self, element: Element, file: str) -> None:
        if not file.startswith("img/"):
            raise self._error(
                element,
                f"images are in chapters/img, but this is {file}: move it there",
            )
        path = self._folder / file
        if not path.is_file():
            path = self._folder / unquote(file)  # as parsers write an address
        if not path.is_file():
            raise self._error(
                element,
                f"there is no image chapters/{file}: add it, or correct its name",
            )
        if fault := images.fault(path):
            raise self._error(
                element, f"the image chapters/{file} cannot stay so: {fault}"
            )

    def _check_link(self, element: Element) -> None:
        if not re.match(r"(https?|mailto):", element.content, re.IGNORECASE):
            raise self._error(
                element,
                f"the link to {element.content} leads nowhere in notebooks: refer to a "
                "part of the book as {ref}`label`, and begin an address with https://",
            )

    def _error(self, element: Element, message: str) -> BookError:
        return self._chapter.error(element.line, message)


def _is_apart(cell: Cell) -> bool:
    """Whether pages show the `cell` inside of tabs or a solution."""
    return not cell.for_all or "solution" in cell.tags


def _is_table(element: Element) -> bool:
    """Whether the directive `element` holds a table alone."""
    tokens = element.body.tokens if element.body else []
    blocks = [t.type for t in tokens if t.level == 0 and t.nesting >= 0]
    return blocks == ["table_open"]


def _in_directive(parent: Element | None) -> str:
    if parent is None:
        return "a cell begins inside a list or quote: end that before this +++"
    return (
        f"a cell begins inside the directive of line {parent.line}: close that with a "
        f"line {parent.token.markup} before this +++"
    )
