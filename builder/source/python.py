"""Parses the code in a chapter's cells as IPython does, and tells what counts as code."""

import ast
import re
from contextlib import suppress
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.inputtransformer2 import TransformerManager

# The magics whose text is Python that runs among the notebook's own names.
_OF_PYTHON = ("capture", "debug", "prun", "time", "timeit")
_LOST = "#…\n"  # in place of a line that IPython's Python lacks
_OPTIONS = re.compile(r"(?:--?[\w-]+(?: +\d+)? +)*")  # before that text, in a line


@lru_cache(maxsize=4096)  # a cell is compared with its recording several times
def dump_source(source: str) -> str:
    """The syntax of a cell's `source`, without comments and docstrings."""
    try:
        return dump(parse(source))
    except (SyntaxError, ValueError):  # ValueError: characters that no source may hold
        return source


def parse(source: str) -> ast.Module:
    """The syntax tree of a cell, with IPython's magics and shell commands as calls.

    Python that a magic runs, such as a cell's below `%%time`, follows its call. Line
    numbers are those of `source`. Raises SyntaxError where IPython would.
    """
    try:
        return ast.parse(source)
    except SyntaxError:
        tree = ast.parse(_as_python(source))
    for node in [*ast.walk(tree)]:
        match node:
            case ast.Call(
                ast.Attribute(attr="run_cell_magic"),
                [ast.Constant(name), _, ast.Constant(str(text))],
            ) if name in _OF_PYTHON:
                node.args.pop()
                tree.body += parse("\n" * node.lineno + text).body
            case ast.Call(
                ast.Attribute(attr="run_line_magic"),
                [ast.Constant(name), ast.Constant(str(text))],
            ) if name in _OF_PYTHON:
                text = _OPTIONS.sub("", text, count=1)
                with suppress(SyntaxError):  # other options
                    tree.body += parse("\n" * (node.lineno - 1) + text).body
    return tree


def line_of(source: str, number: int) -> int:
    """The line of `source` that is the line `number` of what IPython runs."""
    lines = _as_python(source).splitlines(keepends=True)
    places = [place for place, line in enumerate(lines, 1) if line != _LOST]
    return places[number - 1] if 1 <= number <= len(places) else number


def _as_python(source: str) -> str:
    """The Python that IPython makes of `source`, line by line."""
    # IPython drops blank lines at the beginning.
    first = len(source) - len(source.lstrip())
    return _LOST * source.count("\n", 0, first) + _transformer().transform_cell(source)


@cache
def _transformer() -> "TransformerManager":
    # Imported only now: nearly all cells are plain Python.
    from IPython.core.inputtransformer2 import TransformerManager

    class LineByLine(TransformerManager):
        """Leaves a comment for each further line of a command."""

        def do_one_token_transform(self, lines):
            changed, new = super().do_one_token_transform(lines)
            if len(new) < len(lines):
                place = next(i for i, line in enumerate(new) if line != lines[i]) + 1
                new[place:place] = [_LOST] * (len(lines) - len(new))
            return changed, new

    return LineByLine()


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
