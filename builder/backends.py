"""The four frameworks: their ids, their titles and other names that people type."""

from builder.errors import BookError

TITLES = {
    "torch": "PyTorch",
    "mxnet": "MXNet",
    "jax": "JAX",
    "tensorflow": "TensorFlow",
}
IDS = tuple(TITLES)
_ALIASES = {"pytorch": "torch", "tf": "tensorflow"}


def backend_id(name):
    """The id of the framework that a person calls `name`."""
    known = name.lower()
    known = _ALIASES.get(known, known)
    if known not in TITLES:
        raise BookError(
            f"unknown backend {name!r}: choose from {', '.join([*IDS, *_ALIASES])}"
        )
    return known
