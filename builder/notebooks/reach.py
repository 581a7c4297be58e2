"""Which definitions of the library the code of a notebook reaches."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

from builder.notebooks.library import FALLBACK, Library, is_backend, names_in
from builder.source.definitions import MARK, PACKAGE, Definition, Module, read
from builder.source.python import parse

# An attribute of an unknown object, or a string, which `getattr` may take.
_WORD = re.compile(r"(?:attr|value)='(\w+)'")


class Reach:
    """What the cells `sources` of a notebook for `backend` reach, themselves included.

    Without a `backend`, they are the same for every framework, and import what they need.

    `reached` numbers definitions and modules in the order in which code names them, which
    moving code between files does not change. `texts` is the code of each, empty for a
    module, with these numbers in place of names.
    """

    def __init__(self, root: Path, backend: str | None, sources: list[str]) -> None:
        self.reached: dict[Definition | Module, int] = {}
        self.texts: list[str] = []
        self._library = Library(root)
        self._imported: set[str] = set()
        self._running: list[Module] = []
        self._words: set[str] = set()
        # Modules that are assigned or passed around, with the words looked up in them.
        self._values: dict[Module, set[str]] = {}
        self._start(backend, [each for s in sources for each in parse(s).body])
        while self._reach_more():
            for target in [*self.reached][len(self.texts) :]:
                self.texts.append(self._text(target))

    def _start(self, backend, statements):
        tree = ast.Module(statements, [])
        for node in [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]:
            self._check(node)
        cells = read("", tree)
        self._run(cells.imports)
        backends = [module for module in self._running if is_backend(module)]
        if backend and not backends:
            own = self._library.module(f"{PACKAGE}.{backend}")
            self._run([own.name])
            cells.imported["d2l"] = [own.name]
        if len(backends) > 1:
            self._values |= {module: set() for module in backends}
        for definition in sum(cells.defined.values(), cells.effects):
            self._number(definition)

    def _check(self, node):
        """Raise FileNotFoundError if a cell imports what the library lacks."""
        if node.module and node.module.split(".")[0] == PACKAGE:
            module = self._library.module(node.module)
            for name in [alias.name for alias in node.names if alias.name != "*"]:
                is_unknown = (module, [name]) in self._library.resolve(module, [name])
                if is_unknown and not is_backend(module):
                    self._library.module(f"{module.name}.{name}")

    def _run(self, imports: Iterable[str]) -> None:
        """Note the modules that run for these `imports`, and for their own."""
        for path in imports:
            if path not in self._imported:
                self._imported.add(path)
                for module in self._library.along(path):
                    if module not in self._running:
                        self._running.append(module)
                        self._run(module.imports)

    def _reach_more(self):
        """Reach what is not named; return whether any text is still missing."""
        words = self._words & names_in(self._running)
        for module in [*self._values]:
            self._look_up(words, module)
        effects = [effect for module in self._running for effect in module.effects]
        for effect in sorted(effects, key=_without_files):
            self._number(effect)
        return len(self.reached) > len(self.texts)

    def _look_up(self, words, module):
        asked = self._values.setdefault(module, set())
        new = sorted(words - asked)
        asked |= words
        for word in new:
            for target, rest in self._library.resolve(module, [word]):
                if isinstance(target, Definition):
                    self._number(target)
                elif isinstance(target, Module) and not rest:
                    self._look_up(words, target)

    def _number(self, target):
        return self.reached.setdefault(target, len(self.reached))

    def _text(self, definition):
        if isinstance(definition, Module):
            return ""
        module = definition.module
        self._run([module.name])
        self._words |= {*_WORD.findall(definition.text)}
        return MARK.sub(lambda mark: self._linked(module, mark[1]), definition.text)

    def _linked(self, module, name):
        meanings = self._library.resolve(module, name.split("."))
        return "|".join(self._written(module, *each) for each in meanings)

    def _written(self, module, target, rest):
        if isinstance(target, str):
            return ".".join([target, *rest])
        self._words |= {*rest}
        if target is module and rest:  # a builtin, or the notebook's own
            return ".".join(rest)
        if isinstance(target, Module):
            if not rest:
                self._values.setdefault(target, set())
            elif is_backend(target):
                [(target, _)] = self._library.find(FALLBACK)
        return ".".join([f"#{self._number(target)}", *rest])


def _without_files(effect):
    return MARK.sub(lambda mark: mark[1].rpartition(".")[2], effect.text)
