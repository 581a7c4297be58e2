"""Each chapter's part of the site, made again only if what it is made from has changed.

Splitting a chapter for each framework and comparing it with what was recorded takes
longer than all else, and most chapters are as they were when the site was last written.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from builder import files
from builder.notebooks import colab, downloads
from builder.notebooks.edition import Edition, editions
from builder.publishing import about, sphinx_build, sphinx_source, tabs
from builder.setup import requirements
from builder.source.book import Book
from builder.source.chapter import Chapter
from builder.source.prose import Prose
from d2lext.core.frameworks import IDS


@dataclass(frozen=True)
class Part:
    """What the site has of one chapter."""

    title: str
    page: str  # its merged notebook
    offered: dict[str, str]  # its notebooks to download, by backend
    tabs: list[str]  # the backends for which it has tabs
    numbers: list[list[str]]  # the kind and number of all that is numbered
    stale: list[str]  # the backends whose recorded outputs are out of date
    about: dict[str, Any]  # what the front page says of it


def of_book(book: Book, folder: Path) -> dict[str, Part]:
    """The part of each chapter by its name; `folder` keeps them between builds."""
    shared = _shared(book)
    parts = {}
    for chapter in book.chapters:
        kept = folder / f"{chapter.stem}.json"
        inputs = _inputs(book, chapter, shared)
        found = json.loads(kept.read_text("utf-8")) if kept.is_file() else {}
        if found.get("inputs") != inputs:
            part = _of_chapter(book, chapter)
            found = {"inputs": inputs, "part": asdict(part)}
            files.write(kept, json.dumps(found))
        parts[chapter.stem] = Part(**found["part"])
    return parts


def of_page(
    root: Path,
    name: str,
    page: NotebookNode,
    offered: Mapping[str, NotebookNode],
    stale: list[str],
) -> Part:
    """The part of the chapter `name` with this merged `page`, offering these notebooks."""
    headings = Prose(page.cells[0].source).of("heading")
    tags = {tag for cell in page.cells for tag in cell.metadata.get("tags", [])}
    return Part(
        headings[0].content if headings else name,
        sphinx_source.text(page, root / "chapters" / f"{name}.md"),
        {
            backend: downloads.text(notebook, root, backend)
            for backend, notebook in offered.items()
        },
        [backend for backend in IDS if f"tab-{backend}" in tags],
        sphinx_source.numbers({name: page}).get(name, []),
        stale,
        page.metadata.get(about.KEY, {}),
    )


def _of_chapter(book: Book, chapter: Chapter) -> Part:
    recorded = list(editions(book, [chapter]))
    offered = {
        edition.backend: colab.with_cell(edition.notebook, book.root, edition.backends)
        # The notebooks of a shared chapter are equal, so only one is offered.
        for edition in recorded[: 1 if chapter.is_shared else None]
    }
    stale = [edition.backend for edition in recorded if edition.is_stale]
    return of_page(book.root, chapter.stem, tabs.merged(recorded), offered, stale)


def _inputs(book: Book, chapter: Chapter, shared: str) -> str:
    """A hash of what the chapter's part is made from: `shared`, and its own files."""
    digest = hashlib.sha256(f"{shared} {chapter.text}".encode())
    for backend in IDS:
        file = Edition(book, chapter, backend).file
        digest.update(file.read_bytes() if file.exists() else b"")
    return digest.hexdigest()


def _shared(book: Book) -> str:
    """What every chapter's part depends on: the builder, the library, other chapters."""
    chapters = book.root / "chapters"
    names = ("book.toml", "references.bib", "img")
    paths = [book.root / "d2lext", *(chapters / name for name in names)]
    paths.append(requirements.ROOT / "pyproject.toml")
    labels = {k: (x.kind, x.number, x.title, x.chapter) for k, x in book.labels.items()}
    order = [chapter.stem for chapter in book.chapters]
    existing = filter(Path.exists, paths)
    return f"{sphinx_build.fingerprint(*existing)} {order} {sorted(labels.items())}"
