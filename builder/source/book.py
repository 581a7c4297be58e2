"""The whole book: its chapters, what their labels refer to, its references."""

from collections.abc import Iterable
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import BookError
from builder.source import labels, reader, references
from builder.source.chapter import Cell, Chapter
from builder.source.prose import Element, Prose

if TYPE_CHECKING:
    from pybtex.database import Entry


class Book:
    """The chapters under `root`/chapters, read and checked."""

    def __init__(self, root: Path):
        self.root = Path(root)
        folder = self.root / "chapters"
        paths = sorted(folder.glob("[0-9]*.md"))
        if not paths:
            raise BookError(f"{folder} has no chapters: add one named NN-name.md")
        _check_order(paths)
        self.chapters = [reader.read(path, self.root) for path in paths]
        self.labels = labels.collect(self.chapters)
        for chapter in self.chapters:
            self._check_references(chapter)

    def find(self, name: str) -> Chapter:
        """The chapter called `name` (`densenet`, `01-densenet` or its file)."""
        for chapter in self.chapters:
            if Path(name).stem in (chapter.name, chapter.stem):
                return chapter
        names = ", ".join(chapter.name for chapter in self.chapters)
        raise BookError(f"unknown chapter {name!r}: choose from {names}")

    def select(self, names: Iterable[str]) -> list[Chapter]:
        """The chapters called `names`, or all if `names` is empty."""
        return [self.find(name) for name in names] or self.chapters

    @cached_property
    def references(self) -> dict[str, "Entry"]:
        """The entries of chapters/references.bib, by key."""
        return references.read(self.root)

    def _check_references(self, chapter: Chapter) -> None:
        for cell in chapter.lecture or chapter.cells:
            if cell.kind != "markdown":
                continue
            for role in cell.prose.of("role"):
                if role.name.startswith("cite"):
                    for key in map(str.strip, role.content.split(",")):
                        if key not in self.references:
                            raise chapter.error(
                                role.line,
                                f"unknown citation {key!r}: add it to "
                                "chapters/references.bib or correct the key",
                            )
                        references.check({key: self.references[key]}, self.root)
                elif not cell.is_for_lectures:  # whose labels are not the book's
                    self._check_label(chapter, cell, role)

    def _check_label(self, chapter: Chapter, cell: Cell, role: Element) -> None:
        name, role_name = role.content, role.name
        if name not in self.labels:
            raise chapter.error(
                role.line,
                f"unknown label {name!r}: define it with ({name})= right before a heading "
                f"or with :name: {name}, or correct the reference",
            )
        label = self.labels[name]
        title = {element.kind for element in Prose(label.title, in_line=True).elements}
        if role_name == "ref" and title & {"role", "image", "html"} and not role.title:
            raise chapter.error(
                role.line,
                f"the title of {name!r} has references, images or HTML, which stay "
                f"there: write {{numref}}`{name}` or {{ref}}`words of yours <{name}>`",
            )
        wanted = "eq" if label.kind == "equation" else "numref"
        if "eq" in (role_name, wanted) and role_name != wanted:
            raise chapter.error(
                role.line,
                f"{{{role_name}}} cannot refer to {name!r}, which is of the kind "
                f"{label.kind}: write {{{wanted}}}`{name}`",
            )

        lacking = [b for b in cell.backends if b not in label.cell.backends]
        is_closed = "solution" in label.cell.tags and "solution" not in cell.tags
        if lacking or is_closed:
            readers = f"of {', '.join(lacking)}" if lacking else "without solutions"
            raise chapter.error(
                role.line,
                f"{name!r} is at chapters/{label.chapter}.md:{label.line}, which readers "
                f"{readers} do not have: tag both cells alike, or name it in words",
            )


def _check_order(paths: list[Path]) -> None:
    """Raise BookError if the numbers of files leave the order of chapters open."""
    for one, other in pairwise(paths):
        number = one.name.partition("-")[0]
        if number == other.name.partition("-")[0]:
            raise BookError(
                f"two chapters have the number {number}, chapters/{one.name} and chapters/"
                f"{other.name}: rename one, so that their order is certain"
            )
