"""A chapter in one framework: the value that run, check, sync and publishing share."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from builder import files
from builder.errors import BookError
from builder.notebooks import colab, store
from builder.notebooks.split import split
from builder.source.book import Book
from builder.source.chapter import Cell, Chapter
from d2lext.core.frameworks import IDS, TITLES


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
        store.keep_outputs(notebook, store.read(self.path))
        return notebook

    @property
    def path(self) -> Path:
        """The notebook's file, whether or not it exists."""
        folder = self.book.root / "notebooks" / self.backend
        return folder / f"{self.chapter.stem}.ipynb"

    @property
    def shown_path(self) -> str:
        """The file's path in messages, such as `notebooks/jax/01-densenet.ipynb`."""
        return self.path.relative_to(self.book.root).as_posix()

    @property
    def title(self) -> str:
        """Its name in messages, such as `01-densenet (PyTorch)`."""
        return f"{self.chapter.stem} ({TITLES[self.backend]})"

    @property
    def backends(self) -> tuple[str, ...]:
        """The frameworks that its code imports: all of them for a shared chapter."""
        return IDS if self.chapter.is_shared else (self.backend,)

    def pairs(self) -> list[tuple[Cell, NotebookNode]]:
        """Each of the chapter's cells for this framework, paired with the notebook's."""
        cells = self.chapter.cells_for(self.backend)
        return list(zip(cells, self.notebook.cells, strict=True))

    @property
    def is_stale(self) -> bool:
        """Whether the notebook must run again: its outputs are from different code."""
        metadata = self.notebook.metadata[store.KEY]
        return metadata.get("recorded", {}).get("code") != metadata["code"]

    @property
    def is_edited(self) -> bool:
        """Whether the file differs from what it was split from; a damaged one does."""
        try:
            return store.differs(store.read(self.path))
        except BookError:
            return True

    def text(self) -> str:
        """The text of the notebook's file, which also has what Google Colab needs."""
        prepared = colab.prepared(self.notebook, self.book.root, self.backends)
        return nbformat.writes(prepared) + "\n"

    def write(self) -> bool:
        """Write the notebook; return whether the file changed."""
        return files.write(self.path, self.text())


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
        if store.differs(store.read(edition.path)):
            raise BookError(
                f"{edition.shown_path} was edited, and rewriting it from its chapter "
                "would lose the edits: carry them to the chapter with python build.py "
                f"sync {edition.chapter.name}, undo them, or move the file away"
            )
