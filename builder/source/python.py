"""Parses the Python in a chapter's cells, and tells what counts as code."""

import ast
from functools import lru_cache


@lru_cache(maxsize=4096)  # a cell is compared with its recording several times
def dump_source(source: str) -> str:
    """The syntax of a cell's `source`, without comments and docstrings."""
    try:
        return dump(parse(source))
    except SyntaxError:
        return source


def parse(source: str) -> ast.Module:
    """The syntax tree of a cell, ignoring magics and shell commands."""
    lines = source.split("\n")
    code = ("pass" if line.startswith(("%", "!")) else line for line in lines)
    return ast.parse("\n".join(code))


def dump(node: object) -> str:
    """A syntax tree as text, the same in every Python: versions differ in empty fields."""
    if isinstance(node, list):
        return f"[{', '.join(map(dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(value, list) and value:
            value = value[1:] if _is_docstring(value[0]) else value
        if value is not None and value != []:
            fields.append(f"{name}={dump(value)}")
    return f"{type(node).__name__}({', '.join(fields)})"


def _is_docstring(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
