"""The whole book: its chapters, what their labels refer to, its references."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import BookError
from builder.source import labels, reader, references
from builder.source.chapter import Chapter
from builder.source.markup import ROLE, ROLES, without_code

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
        for cell in chapter.prose:
            for match in ROLE.finditer(without_code(cell.source)):
                line = cell.line_at(match.start())
                role, target = match["role"], match["target"]
                if role not in ROLES:
                    raise chapter.error(
                        line, f"unknown role {role!r}: choose from {', '.join(ROLES)}"
                    )
                if role.startswith("cite"):
                    for key in map(str.strip, target.split(",")):
                        if key not in self.references:
                            raise chapter.error(
                                line,
                                f"unknown citation {key!r}: add it to "
                                "chapters/references.bib or correct the key",
                            )
                        references.check({key: self.references[key]}, self.root)
                elif target not in self.labels:
                    raise chapter.error(
                        line,
                        f"unknown label {target!r}: define it with ({target})= or "
                        f":name: {target}, or correct the reference",
                    )
