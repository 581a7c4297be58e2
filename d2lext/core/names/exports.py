"""Names that a backend's package looks up on demand: the chapters', and the rest of d2l's.

The chapters define the models; `python build.py export` writes them to
`d2lext/<backend>/<chapter>.py`. These modules import the package, which therefore imports
them only on first use.
"""

import functools
import importlib
from typing import Any

from d2lext.core.names import fallback

EXPORTED = {
    "ConvBlock": "densenet",
    "DenseBlock": "densenet",
    "TransitionBlock": "densenet",
    "DenseNet": "densenet",
    "NormReluConv": "family",
    "ConvBlockBC": "family",
    "DenseBlockBC": "family",
    "TransitionBlockBC": "family",
    "DenseNetBC": "family",
}


def lookup(package: str, name: str) -> Any:
    """The public `name` of the backend `package` (such as "d2lext.torch").

    A network's name in the registry is a function that creates it. Anything that no
    chapter exports comes from the installed d2l. Raises AttributeError for a name that
    d2l lacks, too.
    """
    if name in EXPORTED:
        return getattr(importlib.import_module(f"{package}.{EXPORTED[name]}"), name)
    if name.startswith("densenet") and name in variants():
        models = importlib.import_module(f"{package}.models")
        return _Network(models.create_model, name)
    if name in EXPORTED.values():  # a module: Python asks here before it imports it
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return fallback.lookup(package, name)


def variants() -> list[str]:
    """The names of the registry, each of which is also a function."""
    # Imported only here: the registry imports `family`, which the builder writes, and the
    # builder imports this module.
    from d2lext.core.densenet.registry import list_models

    return list_models()


class _Network(functools.partial):
    """`create_model` with the name of a network."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        if args:
            raise TypeError(
                f"{self.args[0]} takes options by keyword, got {args[0]!r}: write, for "
                f"example, {self.args[0]}(num_classes=10)"
            )
        return super().__call__(**options)
