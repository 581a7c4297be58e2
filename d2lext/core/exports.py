"""Names that a backend's package serves on demand.

The chapters define the models; `python build.py export` writes them to
`d2lext/<backend>/<chapter>.py`. They are imported when first asked for, because they
themselves import the package.
"""

import importlib

EXPORTED = {
    "ConvBlock": "densenet",
    "DenseBlock": "densenet",
    "TransitionBlock": "densenet",
    "DenseNet": "densenet",
}


def lookup(package, name):
    """The public `name` of the backend `package` (such as "d2lext.torch").

    Raises AttributeError for a name that no chapter exports.
    """
    if name not in EXPORTED:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{package}.{EXPORTED[name]}"), name)
