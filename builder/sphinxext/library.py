"""The library as its source has it: names, signatures and docstrings, read by Griffe.

No framework is imported, so the site needs none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import griffe
from griffe import Class, Function, Object, Parameter, ParameterKind, Parameters

import d2lext
from builder import files
from d2lext.core.frameworks import IDS
from d2lext.core.names.exports import EXPORTED

FOLDER = Path(d2lext.__file__).parent
Annotation = str | griffe.Expr | None


@dataclass(frozen=True)
class Entry:
    """What the reference says of a name; two are equal if readers see no difference."""

    kind: str  # of Sphinx's domain for Python: function, class, method, ...
    signature: str
    text: str  # in Markdown, as our docstrings are
    members: tuple["Entry", ...] = ()
    file: Path = field(default=FOLDER, compare=False)
    lines: tuple[int, int] = field(default=(1, 1), compare=False)

    def all(self) -> Iterator["Entry"]:
        """The entry and its members."""
        yield self
        for member in self.members:
            yield from member.all()


def version() -> str:
    """A hash of the library's source."""
    return files.fingerprint(FOLDER)


def find(name: str, members: Sequence[str] = (), of: str = "") -> dict[str, Entry]:
    """What each backend has under the public `name`, with some of its `members`.

    A name with dots is a path in the library, such as `core.densenet.parity.compare`, and
    its entry has the key "". Raises KeyError for an unknown name. `of` is the `version`,
    for which the library is read once.
    """
    library = _library(FOLDER, of or version())
    if "." in name:
        shown = ".".join(name.split(".")[-2:])
        return {"": _entry(_real(library[name]), shown, members)}
    found = {}
    for backend in IDS:
        package = library[backend]
        if name in EXPORTED:
            package = package[EXPORTED[name]]
        if name in package.all_members:
            found[backend] = _entry(_real(package[name]), f"d2l.{name}", members)
    if not found:
        raise KeyError(name)
    return found


@cache
def _library(folder: Path, version: str) -> Object:
    library = griffe.load(
        folder.name,
        search_paths=[folder.parent],
        try_relative_path=False,
        allow_inspection=False,
    )
    assert isinstance(library, Object)
    return library


def _real(found: griffe.Object | griffe.Alias) -> Object:
    """What a name stands for, also a method such as `save = _weights.save`."""
    found = found.final_target if isinstance(found, griffe.Alias) else found
    value = getattr(found, "value", None)
    if isinstance(value, griffe.ExprAttribute) and found.parent is not None:
        owner, method = str(value.first), str(value.last)
        made = getattr(found.parent.all_members.get(owner), "value", None)
        if isinstance(made, griffe.ExprCall):  # owner = Class(...)
            place = made.function.canonical_path.partition(".")[2]
            return _real(_root(found)[place][method])
    return found


def _root(found: Object) -> Object:
    return found if found.parent is None else _root(found.parent)


def _entry(found: Object, shown: str, members: Sequence[str] = ()) -> Entry:
    """The entry of a function, class or attribute, called as `shown` says."""
    kind, signature = found.kind.value, shown
    if isinstance(found, Class):
        signature = _signature(_arguments(found), shown)
    elif isinstance(found, Function):
        in_class = isinstance(found.parent, Class)
        kind = "method" if in_class and "." not in shown else "function"
        own = list(found.parameters)[in_class and "staticmethod" not in found.labels :]
        signature = _signature(own, shown, found.returns)
    elif kind == "attribute":
        kind = "property" if "property" in found.labels else "attribute"
        kind = kind if isinstance(found.parent, Class) else "data"
    return Entry(
        kind,
        signature,
        _docstring(found),
        tuple(_entry(_real(found.all_members[m]), m) for m in members),
        Path(str(found.filepath)),
        (found.lineno or 1, found.endlineno or 1),
    )


def _signature(
    parameters: Sequence[Parameter], shown: str, returns: Annotation = None
) -> str:
    """Like `name(a, b: int = 1) -> int`; Any and None say nothing."""
    plain = [
        Parameter(
            p.name, kind=p.kind, default=p.default, annotation=_said(p.annotation)
        )
        for p in parameters
    ]
    function = Function(shown, parameters=Parameters(*plain), returns=_said(returns))
    return function.signature()


def _said(annotation: Annotation) -> Annotation:
    return None if str(annotation) in ("Any", "None") else annotation


def _arguments(cls: Class) -> list[Parameter]:
    """What a class is called with: its fields, as in JAX, or what its constructor takes."""
    classes = [cls, *cls.mro()]
    bases = [getattr(b, "canonical_path", "") for c in classes for b in c.bases]
    if any(base.startswith(("flax.", "typing.NamedTuple")) for base in bases):
        fields = next(filter(None, (list(_fields(c)) for c in classes)), [])
        return [field for field in fields if "init=False" not in str(field.default)]
    return [parameter for parameter in cls.parameters if parameter.name != "self"]


def _fields(cls: Class) -> Iterator[Parameter]:
    for found in cls.members.values():
        if isinstance(found, griffe.Attribute) and found.annotation:
            yield Parameter(
                found.name,
                annotation=found.annotation,
                kind=ParameterKind.positional_or_keyword,
                default=found.value and str(found.value),
            )


def _docstring(found: Object) -> str:
    """Its docstring, after that of the core's class of the same name.

    Of a method without one, that of the method that it replaces.
    """
    if isinstance(found, Class):
        classes = [*reversed(found.mro()), found]
        own = [
            c.docstring.value for c in classes if c.name == found.name and c.docstring
        ]
        # Said once, though both say it.
        return "\n\n".join(dict.fromkeys(p for text in own for p in text.split("\n\n")))
    parent = found.parent
    replaced = parent.mro() if isinstance(parent, Class) else []
    methods = [c.members[found.name] for c in replaced if found.name in c.members]
    texts = [m.docstring.value for m in (found, *methods) if m.docstring]
    return texts[0] if texts else ""
