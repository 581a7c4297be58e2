"""The library's modules, and what a name in one of them means."""

import ast
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from builder.errors import chapter_error
from builder.source.definitions import PACKAGE, Definition, Module, read
from d2lext.core.names.exports import EXPORTED, variants

FALLBACK = f"{PACKAGE}.core.names.fallback:lookup"

# What a name means (a path if it is not the library's), and the attributes after it. If
# it is a module, the first of these is one that the module lacks.
Meaning = tuple[Definition | Module | str, list[str]]


class Library:
    """The modules below `root`, read when needed and again when their files change."""

    def __init__(self, root: Path) -> None:
        self._root = root
        files = (root / PACKAGE).rglob("*.py")
        self._names = {_name(path.relative_to(root)) for path in files}
        self._modules: dict[str, Module] = {}
        self._meanings: dict[tuple[str, ...], list[Meaning]] = {}

    def module(self, name: str) -> Module:
        """The module `name`; raises FileNotFoundError if there is none."""
        if name not in self._modules:
            path = self._root.joinpath(*name.split("."))
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            self._modules[name] = _read(name, path.read_text(encoding="utf-8"))
        return self._modules[name]

    def along(self, path: str) -> list[Module]:
        """The modules that run when `path` is imported, packages first."""
        parts = re.split("[.:]", path)
        names = [".".join(parts[: i + 1]) for i in range(len(parts))]
        return [self.module(name) for name in names if name in self._names]

    def find(self, path: str, names: Sequence[str] = ()) -> list[Meaning]:
        """What an imported `path` means, with the attributes `names` after it."""
        source, _, name = path.partition(":")
        names = [*filter(None, [name]), *names]
        if source not in self._names:
            return [(source, names)]
        return self.resolve(self.module(source), names)

    def resolve(self, module: Module, names: list[str]) -> list[Meaning]:
        """What the dotted `names` may mean in `module`; several bindings all count."""
        key = module.name, *names
        if key not in self._meanings:
            self._meanings[key] = [(module, names)]  # in case imports are circular
            self._meanings[key] = self._resolve(module, names)
        return self._meanings[key]

    def _resolve(self, module, names):
        if not names:
            return [(module, [])]
        name, *rest = names
        found = [(each, rest) for each in module.defined.get(name, [])]
        for path in module.imported.get(name, []):
            if path != f"{module.name}:{name}":  # a package imports its submodule
                found += self.find(path, rest)
        submodule = f"{module.name}.{name}"
        if not found and submodule in self._names:  # no star brings one
            return self.resolve(self.module(submodule), rest)
        for star in module.imported.get("*", []):
            source = star.partition(":")[0]
            served = self.find(source, names) if source in self._names else []
            found += [each for each in served if each[1] != names]
        if found:
            return found
        if is_backend(module) and name in EXPORTED:
            return self.resolve(self.module(f"{module.name}.{EXPORTED[name]}"), names)
        if is_backend(module) and name.startswith("densenet") and name in variants():
            [(create, _)] = self.find(f"{module.name}.models:create_model")
            return [(create, names)]
        return [(module, names)]


def is_backend(module: Module) -> bool:
    """Whether it is a framework's package, which provides further names on demand."""
    package, *rest = module.name.split(".")
    return package == PACKAGE and len(rest) == 1 and rest != ["core"]


def names_in(modules: Iterable[Module]) -> set[str]:
    """Every name that one of the `modules` may provide, submodules included."""
    names = {*EXPORTED, *variants()}
    for module in modules:
        names |= {*module.defined, *module.imported, module.name.rpartition(".")[2]}
    return names


def _name(path):
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


@cache
def _read(name, text):
    try:
        return read(name, ast.parse(text))
    except SyntaxError as error:
        line = error.lineno or 1
        path = Path(*name.split(".")).with_suffix(".py")
        raise chapter_error(path, line, f"not valid Python: {error.msg}") from error
