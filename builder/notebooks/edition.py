"""A chapter in one framework: the value that run, check, sync and publishing share."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from builder import files
from builder.errors import BookError
from builder.notebooks import colab, recording, store, strays
from builder.notebooks.split import split
from builder.source.book import Book
from builder.source.chapter import Cell, Chapter
from d2lext.core.frameworks import FRAMEWORKS, IDS, TITLES

# What code for frameworks names.
IMPORTED = {"d2l", "d2lext"} | {m for f in FRAMEWORKS.values() for m in f.modules}


@dataclass(frozen=True)
class Edition:
    """A `chapter` of the `book` for readers of `backend`, with its `notebook`."""

    book: Book
    chapter: Chapter
    backend: str

    @cached_property
    def notebook(self) -> NotebookNode:
        """Split from the current chapter, with the outputs recorded for its code."""
        notebook = split(self.book, self.chapter, self.backend)
        store.keep_outputs(notebook, store.read(self.file))
        return notebook

    @property
    def path(self) -> Path:
        """Where the notebook belongs, whether or not it exists."""
        folder = self.book.root / "notebooks" / self.backend
        return folder / f"{self.chapter.stem}.ipynb"

    @cached_property
    def file(self) -> Path:
        """Where it is: at `path`, or still under the chapter's former name."""
        if self.path.exists():
            return self.path
        former = strays.former(self.book, self.chapter, self.path.parent)
        return former or self.path

    @property
    def shown_path(self) -> str:
        """The file's path in messages, such as `notebooks/jax/01-densenet.ipynb`."""
        return self.file.relative_to(self.book.root).as_posix()

    @property
    def title(self) -> str:
        """Its name in messages, such as `01-densenet (PyTorch)`."""
        return f"{self.chapter.stem} ({TITLES[self.backend]})"

    @property
    def backends(self) -> tuple[str, ...]:
        """The frameworks that its code may import: if it is shared, all of them or none."""
        cells = self.chapter.cells_for(self.backend)
        code = " ".join(cell.source for cell in cells if cell.kind == "code")
        if not {*re.findall(r"\w+", code)} & IMPORTED:
            return ()
        return IDS if self.chapter.is_shared else (self.backend,)

    def pairs(self) -> list[tuple[Cell, NotebookNode]]:
        """Each of the chapter's cells for this framework, paired with the notebook's."""
        cells = self.chapter.cells_for(self.backend)
        return list(zip(cells, self.notebook.cells, strict=True))

    @property
    def has_code(self) -> bool:
        """Whether it has anything to run."""
        return any(cell.kind == "code" for cell in self.chapter.cells_for(self.backend))

    @property
    def is_stale(self) -> bool:
        """Whether the notebook must run again."""
        return bool(self.stale)

    @cached_property
    def stale(self) -> str:
        """Why the notebook must run again, as a message says it; empty if it need not."""
        metadata = self.notebook.metadata[store.KEY]
        recorded = metadata.get("recorded")
        if not self.has_code:
            return ""
        if not recorded:
            return "was never recorded"
        if recorded.get("code") != metadata["code"]:
            return "was recorded from different code"
        if not isinstance(recorded.get("outputs"), list):
            return "was recorded without hashes of its outputs"
        if not self.changed:
            return ""
        if self.is_edited:
            return "was edited after it was recorded"
        [(line, word), *rest] = self.changed
        more = f" and {len(rest)} more" if rest else ""
        place = f"{word} at {self.chapter.path}:{line}{more}"
        return f"has other outputs than were recorded ({place})"

    @cached_property
    def changed(self) -> list[tuple[int, str]]:
        """The cells whose outputs are not those that were recorded from the same code.

        Each is a line of the chapter, with what was done to the output.
        """
        metadata = self.notebook.metadata[store.KEY]
        recorded = metadata.get("recorded", {})
        before = recorded.get("outputs")
        if recorded.get("code") != metadata["code"] or not isinstance(before, list):
            return []
        lines = [cell.line for cell, _ in self.pairs() if cell.kind == "code"]
        now = recording.digests(self.notebook.cells)
        before = [*before, *[""] * len(now)]  # it may be short after a bad merge
        words = map(recording.change, before, now)
        return [pair for pair in zip(lines, words, strict=False) if pair[1]]

    @property
    def is_edited(self) -> bool:
        """Whether the file differs from what it was split from; a damaged one does."""
        try:
            return store.differs(store.read(self.file))
        except BookError:
            return True

    @property
    def is_as_written(self) -> bool:
        """Whether the file says what `write` would write, in whatever form it does.

        Programs that save a notebook choose line ends and blank lines themselves.
        """
        found = store.read(self.file)
        return found is not None and store.says_the_same(found, self._prepared())

    def text(self) -> str:
        """The text of the notebook's file."""
        return nbformat.writes(self._prepared()) + "\n"

    def write(self) -> bool:
        """Write the notebook to its `path`; return whether the file changed."""
        is_changed = files.write(self.path, self.text())
        if self.file != self.path:
            self.file.unlink(missing_ok=True)
        return is_changed

    def _prepared(self) -> NotebookNode:
        """The notebook with what Google Colab needs."""
        return colab.prepared(self.notebook, self.book.root, self.backends)


def editions(
    book: Book,
    chapters: Iterable[Chapter] | None = None,
    backends: Iterable[str] = IDS,
) -> Iterator[Edition]:
    """Each of the `chapters`, all by default, in each of the `backends`."""
    backends = list(backends)
    for chapter in book.chapters if chapters is None else chapters:
        for backend in backends:
            yield Edition(book, chapter, backend)


def check_unedited(editions: Iterable[Edition]) -> None:
    """Raise BookError if rewriting a notebook would lose edits."""
    for edition in editions:
        if store.differs(store.read(edition.file)):
            raise BookError(
                f"{edition.shown_path} was edited, and rewriting it from its chapter "
                "would lose the edits: carry them to the chapter with python build.py "
                f"sync {edition.chapter.name}, undo them, or move the file away"
            )
