"""Write the definitions that a chapter marks with `export` into the library.

`chapters/01-densenet.md` becomes `d2lext/<backend>/densenet.py` with the imports that
the definitions need, each with the heading it comes from. What is for every framework
becomes `d2lext/core/densenet/<chapter>.py`, once.
"""

import ast

from builder import files
from d2lext.core.frameworks import IDS

CORE = "core"

HEADER = '''"""{title}, from {path}.

Written by `python build.py export`: edit the chapter, not this file.
"""
'''


def exported(chapter, backend):
    """The text of the module that `chapter` exports, or None.

    `backend` may be CORE: for the cells that are for every framework.
    """
    imports, parts, heading = {}, [], chapter.title
    for cell in chapter.cells:
        if not (cell.for_all or backend in cell.backends):
            continue
        if cell.kind == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("#"):
                    heading = line.lstrip("# ")
            continue
        tree = ast.parse(cell.source)
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


def export_path(root, chapter, backend):
    """Where the module of `chapter` for `backend` lies."""
    folder = "core/densenet" if backend == CORE else backend
    return root / "d2lext" / folder / f"{chapter.name}.py"


def write(book, backends=IDS):
    """Write all exported modules; return the paths that changed."""
    changed = []
    for chapter, backend, text in _modules(book, backends):
        path = export_path(book.root, chapter, backend)
        if files.write(path, text):
            changed.append(path)
    return changed


def outdated(book, backends=IDS):
    """The exported modules that differ from their chapter, or are missing."""
    paths = []
    for chapter, backend, text in _modules(book, backends):
        path = export_path(book.root, chapter, backend)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            paths.append(path.relative_to(book.root))
    return paths


def _modules(book, backends):
    for chapter in book.chapters:
        for backend in (CORE, *backends):
            text = exported(chapter, backend)
            if text is not None:
                yield chapter, backend, text


def _imports(node):
    """The names that an import binds, each with the statement that binds it alone."""
    statements = {}
    for alias in node.names:
        bound = alias.asname or alias.name.partition(".")[0]
        one = ast.copy_location(type(node)(**{**vars(node), "names": [alias]}), node)
        statements[bound] = ast.unparse(one)
    return statements


def _check_definitions(tree, cell, chapter):
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names = [getattr(target, "id", "") for target in node.targets]
        else:
            names = []
        is_constant = names and all(name.isupper() for name in names)
        if not (is_constant or isinstance(node, (ast.ClassDef, ast.FunctionDef))):
            raise chapter.error(
                cell.line + node.lineno - 1,
                "an exported cell holds classes, functions and CONSTANTS alone: move "
                "this to a cell without the tag export",
            )
