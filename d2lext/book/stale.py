"""Whether a recorded notebook still belongs to the code that produced it.

The hash covers the syntax trees of the notebook's cells and of the library modules
behind the names that they use, without comments and docstrings: prose, comments and
formatting make nothing stale, and neither does another framework's code.
"""

import ast
import hashlib
from functools import cache

from d2lext.core.exports import EXPORTED

PACKAGE = "d2lext"


def code_hash(root, backend, sources):
    """The hash of the cells `sources` of a notebook for `backend`, and of the library."""
    digest = hashlib.sha256()
    trees = [parse(source) for source in sources]
    for tree in trees:
        digest.update(_dump(tree).encode())
    for module in sorted(_closure(root, _modules_used(root, backend, trees))):
        digest.update(f"{module}\n{_module_dump(root, module)}".encode())
    return digest.hexdigest()[:16]


def dump(source):
    """What of a cell's `source` counts: its syntax, without comments and docstrings."""
    try:
        return _dump(parse(source))
    except SyntaxError:
        return source


def parse(source):
    """The syntax tree of a cell, whose magics and shell commands count for nothing."""
    lines = source.split("\n")
    lines = ("pass" if line.startswith(("%", "!")) else line for line in lines)
    return ast.parse("\n".join(lines))


def _dump(node):
    """A syntax tree as text, the same in every Python: versions differ in empty fields."""
    if isinstance(node, list):
        return f"[{', '.join(map(_dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(value, list) and value:
            value = value[1:] if _is_docstring(value[0]) else value
        if value is not None and value != []:
            fields.append(f"{name}={_dump(value)}")
    return f"{type(node).__name__}({', '.join(fields)})"


def _is_docstring(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@cache
def _parse(path, modified):
    return ast.parse(path.read_text(encoding="utf-8"))


def _module_path(root, module):
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _module_tree(root, module):
    path = _module_path(root, module)
    return _parse(path, path.stat().st_mtime_ns)


def _module_dump(root, module):
    return _dump(_module_tree(root, module))


def _modules_used(root, backend, trees):
    """The modules that define the names of `d2l.` that the cells use."""
    package = f"{PACKAGE}.{backend}"
    origin, modules = {}, set()
    for node in _module_tree(root, package).body:
        if isinstance(node, ast.ImportFrom):
            origin |= {
                (alias.asname or alias.name): node.module for alias in node.names
            }
            if node.module == package:  # imported for their effect
                modules |= {f"{package}.{alias.name}" for alias in node.names}
    origin |= {name: f"{package}.{module}" for name, module in EXPORTED.items()}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                modules.add(origin.get(node.attr) if node.value.id == "d2l" else None)
            elif isinstance(node, ast.ImportFrom) and node.module == package:
                modules |= {origin.get(alias.name) for alias in node.names}
    return {m for m in modules if m and m.startswith(PACKAGE + ".")}


def _closure(root, modules):
    """`modules` and all of the project's modules that they import."""
    found, waiting = set(), list(modules)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        for node in ast.walk(_module_tree(root, module)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                names.append(node.module)
            waiting += [n for n in names if _is_module(root, n)]
    return found


def _is_module(root, name):
    if not name.startswith(PACKAGE + ".") or name.count(".") < 2:
        return False
    return _module_path(root, name).is_file() and not _module_path(root, name).match(
        "*/__init__.py"
    )
