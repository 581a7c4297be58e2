"""Names that a backend's package serves on demand: the chapters', and d2l's further ones.

The chapters define the models; `python build.py export` writes them to
`d2lext/<backend>/<chapter>.py`. They are imported when first asked for, because they
themselves import the package.
"""

import functools
import importlib

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


def lookup(package, name):
    """The public `name` of the backend `package` (such as "d2lext.torch").

    The name of a network in the registry is a function that creates it. What no chapter
    exports comes from the installed d2l. Raises AttributeError for a name that d2l lacks
    too.
    """
    if name in EXPORTED:
        return getattr(importlib.import_module(f"{package}.{EXPORTED[name]}"), name)
    if name.startswith("densenet") and name in variants():
        models = importlib.import_module(f"{package}.models")
        return functools.partial(models.create_model, name)
    if name in EXPORTED.values():  # a module: Python asks here before it imports it
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return fallback.lookup(package, name)


def variants():
    """The names of the registry, each of which is also a function."""
    # Only here: the builder, which writes that module, imports this one.
    from d2lext.core.densenet.registry import list_models

    return list_models()
