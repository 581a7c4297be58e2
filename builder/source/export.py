"""Writes the definitions that a chapter tags `export` to the library.

`chapters/01-densenet.md` becomes `d2lext/<backend>/densenet.py` with the imports that
the definitions need, each under the heading it comes from. Cells for every framework go
once to `d2lext/core/densenet/<chapter>.py`.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from builder import files
from builder.source import python
from builder.source.book import Book
from builder.source.chapter import Cell, Chapter
from d2lext.core.frameworks import IDS

CORE = "core"

HEADER = '''"""{title}, from {path}.

Written by `python build.py export`: edit the chapter, not this file.
"""
'''


def exported(chapter: Chapter, backend: str) -> str | None:
    """The text of the module that `chapter` exports, or None if it exports nothing.

    With CORE as `backend`: from the cells for every framework.
    """
    imports: dict[str, str] = {}
    parts, heading = [], chapter.title
    for cell in chapter.cells:
        if not (cell.for_all or backend in cell.backends):
            continue
        if cell.kind == "markdown":
            for element in cell.prose.of("heading"):
                heading = element.content
            continue
        tree = python.parse(cell.source)
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imports |= _imports(node)
        if "export" in cell.tags and cell.for_all == (backend == CORE):
            _check_definitions(tree, cell, chapter)
            parts.append((heading, cell.source.strip(), tree))
    if not parts:
        return None
    used = {
        node.id
        for _, _, tree in parts
        for node in ast.walk(tree)
        if isinstance(node, ast.Name)
    }
    needed = [text for name, text in imports.items() if name in used]
    text = HEADER.format(title=chapter.title, path=chapter.path.as_posix())
    if needed:
        text += "\n" + "\n".join(dict.fromkeys(needed)) + "\n"
    for heading, source, _ in parts:
        text += f"\n\n# {heading}\n{source}\n"
    return text


def export_path(root: Path, chapter: Chapter, backend: str) -> Path:
    """The file of the module that `chapter` exports for `backend`."""
    folder = "core/densenet" if backend == CORE else backend
    return root / "d2lext" / folder / f"{chapter.name}.py"


def write(book: Book, backends: Iterable[str] = IDS) -> list[Path]:
    """Write all exported modules; return the files that changed."""
    changed = []
    for path, text in _modules(book, backends):
        if files.write(path, text):
            changed.append(path)
    return changed


def outdated(book: Book, backends: Iterable[str] = IDS) -> list[Path]:
    """The exported modules that are missing or differ from their chapter."""
    paths = []
    for path, text in _modules(book, backends):
        if not files.holds(path, text):
            paths.append(path.relative_to(book.root))
    return paths


def _modules(book: Book, backends: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """The file and the text of each exported module."""
    backends = list(backends)
    for chapter in book.chapters:
        for backend in (CORE, *backends):
            text = exported(chapter, backend)
            if text is not None:
                yield export_path(book.root, chapter, backend), text


def _imports(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """The names that an import binds, each with a statement that binds only that."""
    statements = {}
    for alias in node.names:
        bound = alias.asname or alias.name.partition(".")[0]
        one = ast.copy_location(type(node)(**{**vars(node), "names": [alias]}), node)
        statements[bound] = ast.unparse(one)
    return statements


def _check_definitions(tree: ast.Module, cell: Cell, chapter: Chapter) -> None:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names = [getattr(target, "id", "") for target in node.targets]
        else:
            names = []
        is_constant = names and all(name.isupper() for name in names)
        if not (is_constant or isinstance(node, (ast.ClassDef, ast.FunctionDef))):
            raise chapter.error(
                cell.line + node.lineno - 1,
                "an exported cell holds only classes, functions and CONSTANTS: move "
                "this to a cell without the tag export",
            )
