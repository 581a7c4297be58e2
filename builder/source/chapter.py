"""A chapter and its cells, as their author wrote them."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from builder.errors import BookError, chapter_error
from builder.source.cards import Card
from builder.source.prose import Prose
from d2lext.core import frameworks

TAGS = {
    "export": "write this cell's definitions to the library",
    "exercise": "belongs to an exercise",
    "solution": "belongs to a solution",
    "slide": "shown in lectures: code there as well, text only there",
    "notes": "text for the lecturer, on the slide before",
    "train": "takes long; shortened and not compared in tests",
}
OPTIONS = {
    "tags": "a list of tags",
    "expect": "the output that the cell must show: one text, or one per framework",
    "tolerance": "how far numbers of an answer may be from `expect`: 0.5, or 1%",
    "alt": "a description of the cell's plot for those who cannot see it",
    "lines": "which lines a slide shows, such as 3-9, or none; all by default",
    "reveal": "whether a slide shows the output with the next key only",
}


@dataclass(frozen=True)
class Cell:
    """A cell of a chapter; `line` is that of its first line of source."""

    kind: str  # "code" or "markdown"
    source: str
    line: int
    tags: tuple[str, ...] = ()
    expect: dict[str, str] = field(default_factory=dict)  # by backend
    tolerance: str = ""  # of numbers in students' answers: "0.5", "1%"
    alt: str = ""
    lines: tuple[int, int] | None = None  # on a slide: first and last; (1, 0): none
    reveal: bool = False  # whether the output on a slide comes with the next key

    @property
    def is_for_lectures(self) -> bool:
        """Whether only a lecture shows the cell."""
        return self.kind == "markdown" and bool({"slide", "notes"} & set(self.tags))

    @property
    def backends(self) -> tuple[str, ...]:
        """The frameworks that this cell is for, all four when it names none."""
        return tuple(b for b in frameworks.IDS if b in self.tags) or frameworks.IDS

    @property
    def for_all(self) -> bool:
        """Whether the cell is for every framework."""
        return self.backends == frameworks.IDS

    @cached_property
    def prose(self) -> Prose:
        """The source of a cell of text, as the site's parser reads it."""
        return Prose(self.source, self.line)


@dataclass(frozen=True)
class Chapter:
    """A chapter of the book."""

    path: Path  # as messages show it, relative to the project
    text: str
    cells: tuple[Cell, ...]  # those of the book: without what only a lecture shows
    lecture: tuple[Cell, ...] = ()  # all cells
    card: Card = field(default_factory=dict)  # on the front page

    @property
    def stem(self) -> str:
        """The file's name without its ending, such as `01-densenet`."""
        return self.path.stem

    @property
    def name(self) -> str:
        """What the chapter is called on the command line, such as `densenet`."""
        return self.stem.partition("-")[2]

    @cached_property
    def title(self) -> str:
        """Its title in MyST, as its author wrote it; empty without one."""
        titles = (
            element.content
            for cell in self.prose
            for element in cell.prose.elements
            if element.level == 1
        )
        return next(titles, "")

    @property
    def is_shared(self) -> bool:
        """Whether its code is the same for every framework, so that it runs once."""
        return all(cell.for_all for cell in self.cells if cell.kind == "code")

    @property
    def prose(self) -> list[Cell]:
        """The cells of text."""
        return [cell for cell in self.cells if cell.kind == "markdown"]

    def cells_for(self, backend: str) -> list[Cell]:
        """The cells that a reader of `backend` sees, in order."""
        return [cell for cell in self.cells if backend in cell.backends]

    def error(self, line: int, message: str) -> BookError:
        """A BookError at `line` of this chapter."""
        return chapter_error(self.path, line, message)
