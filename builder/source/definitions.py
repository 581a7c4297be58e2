"""A Python file as definitions, with the names from elsewhere marked in their code.

Comments, docstrings, annotations and imports are dropped. `builder.notebooks.library`
resolves the marked names.
"""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from builder.source.python import dump

PACKAGE = "d2lext"
MARK = re.compile("\0(.*?)\0")
_SCOPES = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
_CLASS: frozenset[str] = frozenset()  # a scope whose names its methods do not see


@dataclass(frozen=True, eq=False)
class Definition:
    """A statement of a `module`, with the `names` that it binds.

    Its code is `text`, where a name from elsewhere is between NULs with its attributes,
    such as `np.linalg.norm`.
    """

    names: tuple[str, ...]
    text: str
    module: "Module"


@dataclass(frozen=True, eq=False)
class Module:
    """What the names in a file mean, and what importing it does."""

    name: str
    imports: list[str] = field(default_factory=list)  # as `numpy` or `numpy:linalg`
    imported: dict[str, list[str]] = field(default_factory=dict)  # by local name or "*"
    defined: dict[str, list[Definition]] = field(default_factory=dict)
    effects: list[Definition] = field(default_factory=list)  # see `_has_effect`


def read(name: str, tree: ast.Module) -> Module:
    """The module `name` with the syntax `tree`, which is changed in place.

    What its functions import counts as imported by the module.
    """
    module = Module(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            _add_imports(node, module)
    for statement in tree.body:
        names = tuple(sorted(_bound([statement])))
        has_effect = _has_effect(statement, module)
        text = dump(_Marker().visit(statement))
        definition = Definition(names, text, module)
        for each in names:
            module.defined.setdefault(each, []).append(definition)
        if has_effect:
            module.effects.append(definition)
    return module


def _add_imports(node, module):
    source = f"{node.module}:" if isinstance(node, ast.ImportFrom) else ""
    for alias in node.names:
        module.imports.append(source + alias.name)
        # `import a.b` binds `a` alone.
        name = alias.name if source or alias.asname else alias.name.partition(".")[0]
        module.imported.setdefault(alias.asname or name, []).append(source + name)


def _has_effect(statement, module):
    """Whether `statement` does more than bind names when the module is imported."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            decorators = [ast.unparse(each) for each in statement.decorator_list]
            return any(_may_register(each, module) for each in decorators)
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            changed = [n for n in ast.walk(statement) if _is_stored(n)]
            return any(isinstance(n, ast.Attribute | ast.Subscript) for n in changed)
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return False
        case ast.If(test=ast.Name("TYPE_CHECKING")):
            return False
    return True


def _may_register(decorator, module):
    """Whether a decorator may register a function: the library's, or "register" by name."""
    paths = module.imported.get(re.split(r"\W", decorator)[0], [PACKAGE])
    return "register" in decorator or any(p.startswith(PACKAGE) for p in paths)


def _is_stored(node):
    return isinstance(getattr(node, "ctx", None), ast.Store | ast.Del)


def _bound(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that `nodes` bind in their scope, except by importing."""
    names, others, waiting = set(), set(), list(nodes)
    for node in waiting:
        if isinstance(node, ast.Import | ast.ImportFrom):
            others |= {a.asname or a.name.partition(".")[0] for a in node.names}
            continue
        if isinstance(node, ast.Global):
            others |= {*node.names}
        if isinstance(node, ast.Name) and _is_stored(node):
            names.add(node.id)
        if isinstance(name := getattr(node, "name", None), str):
            names.add(name)  # of a definition, an exception, a pattern
        if not isinstance(node, _SCOPES):
            waiting += ast.iter_child_nodes(node)
    return names - others


class _Mark(str):
    def __repr__(self) -> str:
        return f"\0{self}\0"


class _Marker(ast.NodeTransformer):
    """Marks names that no function around them binds; drops what does not count."""

    def __init__(self) -> None:
        # The names that functions and comprehensions around a node bind, or _CLASS.
        self.scopes: list[set[str] | frozenset[str]] = []

    def visit_Name(self, node):
        hidden = any(node.id in scope for scope in self.scopes)
        return node if hidden or _is_stored(node) else ast.Constant(_Mark(node.id))

    def visit_Attribute(self, node):
        node.value = value = self.visit(node.value)
        if isinstance(value, ast.Constant) and isinstance(value.value, _Mark):
            return ast.Constant(_Mark(f"{value.value}.{node.attr}"))
        return node

    def visit_FunctionDef(self, node):
        is_lambda = isinstance(node, ast.Lambda)
        body = ast.Module([ast.Return(node.body)] if is_lambda else node.body, [])
        if not is_lambda:
            node.returns = None
            node.decorator_list = [self.visit(each) for each in node.decorator_list]
        node.args = self.visit(node.args)
        children = ast.iter_child_nodes(node.args)
        parameters = {each.arg for each in children if isinstance(each, ast.arg)}
        self.scopes.append(parameters | _bound(body.body))
        self.generic_visit(body)
        node.body = body.body
        self.scopes.pop()
        return node

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

    def visit_arg(self, node):
        return ast.arg(node.arg)

    def visit_ListComp(self, node):
        first = node.generators[0]
        first.iter = self.visit(first.iter)  # outside of the scope, as in Python
        self.scopes.append(_bound(each.target for each in node.generators))
        node = self.generic_visit(node)
        self.scopes.pop()
        return node

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def visit_ClassDef(self, node):
        self.scopes.append(_CLASS)
        node = self.generic_visit(node)
        self.scopes.pop()
        return node

    def visit_AnnAssign(self, node):
        if self.scopes and self.scopes[-1] is _CLASS:
            # With an annotation it is a field of a dataclass, whatever its type.
            words = re.findall("ClassVar|InitVar|KW_ONLY", ast.unparse(node.annotation))
            node.annotation = ast.Constant(" ".join(words))
            return self.generic_visit(node)
        return self.visit(ast.Assign([node.target], node.value)) if node.value else None

    def visit_Import(self, node):
        return None

    visit_ImportFrom = visit_Import
