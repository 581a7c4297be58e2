"""Whether a recorded notebook still belongs to the code that produced it.

The hash covers the syntax trees of the notebook's cells and of the library modules
behind the names that they use, without comments and docstrings: prose, comments and
formatting make nothing stale, and neither does another framework's code.
"""

import ast
import hashlib
from functools import cache

from builder.source.python import dump, parse
from d2lext.core.names.exports import EXPORTED, variants

PACKAGE = "d2lext"


def code_hash(root, backend, sources):
    """The hash of the cells `sources` of a notebook for `backend`, and of the library."""
    digest = hashlib.sha256()
    trees = [parse(source) for source in sources]
    for tree in trees:
        digest.update(dump(tree).encode())
    imported = _backends_imported(trees)
    modules = _core_imported(trees)
    for name in imported if len(imported) > 1 else [backend]:
        # Which of several backends an attribute belongs to is not to be seen here.
        d2l = None if len(imported) > 1 else "d2l"
        modules |= _modules_used(root, name, trees, d2l)
    for module in sorted(_closure(root, modules)):
        digest.update(f"{module}\n{_module_dump(root, module)}".encode())
    return digest.hexdigest()[:16]


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
    path = _module_path(root, module)
    return _file_dump(path, path.stat().st_mtime_ns)


@cache
def _file_dump(path, modified):
    return dump(_parse(path, modified))


def _backends_imported(trees):
    """The backends in `from d2lext import torch, jax`, in any of the cells."""
    return sorted(
        {
            alias.name
            for tree in trees
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == PACKAGE
            for alias in node.names
        }
    )


def _core_imported(trees):
    """The modules in `from d2lext.core.densenet import parity`, in any of the cells."""
    return {
        f"{node.module}.{alias.name}"
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and f"{node.module}.".startswith(f"{PACKAGE}.core.")
        for alias in node.names
    }


def _modules_used(root, backend, trees, d2l):
    """The modules that define the names of `d2l.`, or of anything, that the cells use."""
    package = f"{PACKAGE}.{backend}"
    origin, modules = {}, set()
    for node in _module_tree(root, package).body:
        if not isinstance(node, ast.ImportFrom):
            continue
        names = [alias.asname or alias.name for alias in node.names]
        if names == ["loading"]:  # imported for its effect
            modules.add(f"{package}.loading")
        elif names == ["*"]:
            names = _public_names(root, node.module)
        origin |= dict.fromkeys(names, node.module)
    origin |= {name: f"{package}.{module}" for name, module in EXPORTED.items()}
    origin |= dict.fromkeys(variants(), f"{package}.models")
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if d2l in (None, node.value.id):
                    modules.add(origin.get(node.attr))
            elif isinstance(node, ast.ImportFrom) and node.module == package:
                modules |= {origin.get(alias.name) for alias in node.names}
    return {m for m in modules if m and m.startswith(PACKAGE + ".")}


def _public_names(root, module):
    """The names in a module's `__all__`."""
    for node in _module_tree(root, module).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
            return ast.literal_eval(node.value)
    return []


def _closure(root, modules):
    """`modules` and all of the project's modules that they import."""
    found, waiting = set(), list(modules)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        path = _module_path(root, module)
        names = _imported(path, path.stat().st_mtime_ns)
        waiting += [n for n in names if _is_module(root, n)]
    return found


@cache
def _imported(path, modified):
    """What the file at `path` may import: modules, and names that may be modules."""
    names = []
    for node in ast.walk(_parse(path, modified)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
            names.append(node.module)
    return names


def _is_module(root, name):
    if not name.startswith(PACKAGE + ".") or name.count(".") < 2:
        return False
    return _module_path(root, name).is_file() and not _module_path(root, name).match(
        "*/__init__.py"
    )
