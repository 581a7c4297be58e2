"""The error for a framework that is not installed: what is missing, and the command."""

import contextlib

TITLES = {
    "torch": "PyTorch",
    "mxnet": "MXNet",
    "jax": "JAX and Flax",
    "tensorflow": "TensorFlow and Keras",
}


@contextlib.contextmanager
def needed_by(backend):
    """Import a framework within; ImportError then says how to install it."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"d2lext.{backend} needs {TITLES[backend]} ({error}). Install it: "
            f"python build.py setup --backend {backend}",
            name=error.name,
        ) from error
