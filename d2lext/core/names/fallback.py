"""The names of d2l 1.0.3 that d2lext does not define, from the installed package.

Dive into Deep Learning has many chapters; d2lext redoes what the convolutional ones need.
Any other name loads `d2l.<backend>` on first use. In the loaded code, d2l's models extend
d2lext's base classes, and what broke since its release is fixed. The frameworks stay as
they are.
"""

import ast
import difflib
import importlib
import importlib.util
import pkgutil
import random
import sys
import threading
import types
import warnings
from pathlib import Path
from typing import Any

from d2lext.core.frameworks import IDS

# The base classes that d2l's own extend in our version, and where: our trainer, `predict`
# and checkpoints then take its models. d2l's DataModule needs TensorFlow in JAX, and in
# MXNet no trainer's seed fixes its order.
_BASES = {"Module": IDS, "Classifier": IDS, "DataModule": ("jax", "mxnet")}
# d2l imports these at the top but needs them in few places: we import them there.
_LATE = (
    "pandas",
    "scipy.spatial",
    "tensorflow",
    "tensorflow_datasets",
    "torchvision",
)
_REPAIRS = {
    # JAX has removed the old name.
    "jax.random.PRNGKeyArray": "jax.Array",
    # Python 3.12 refuses floats.
    "random.randint(0, 1e6)": "random.randint(0, 10**6)",
    # An array with an axis is not a number any more.
    "int(d2l.reshape(d2l.argmax(Y, axis=2), 1))": (
        "int(d2l.reshape(d2l.argmax(Y, axis=2), ()))"
    ),
    # Flax's cells now know their size.
    "nn.GRUCell.initialize_carry(jax.random.PRNGKey(0),\n"
    "                    (batch_size,), self.num_hiddens)": (
        "jnp.zeros((batch_size, self.num_hiddens))"
    ),
    "GRU()(": "GRU(self.num_hiddens)(",
    # Flax had no plain RNN, and d2l left its own empty.
    "def __call__(self, inputs, H=None):\n        raise NotImplementedError\n": (
        "def __call__(self, inputs, H=None, training=False):\n"
        "        raise NotImplementedError('d2l.RNN must define __call__(inputs, H), '\n"
        "            'got none in JAX: take d2l.RNNScratch or d2l.GRU')\n"
    ),
    # A compiled step of TensorFlow cannot iterate over a tensor.
    "(-1, self.num_hiddens))\n        outputs = []\n        for X in inputs:": (
        "(-1, self.num_hiddens))\n        outputs = []\n"
        "        for X in tf.unstack(inputs):"
    ),
    # Keras' recurrent layers now take examples first, not steps.
    "            time_major=True)\n\n    def forward(self, inputs, H=None):\n"
    "        outputs, H = self.rnn(inputs, H)\n        return outputs, H\n": (
        "            )\n\n    def forward(self, inputs, H=None):\n"
        "        inputs = d2l.transpose(inputs, (1, 0, 2))\n"
        "        outputs, H = self.rnn(inputs, initial_state=H)\n"
        "        return d2l.transpose(outputs, (1, 0, 2)), H\n"
    ),
    ", time_major=True)\n\n    def forward(self, X, state=None):\n"
    "        outputs, *state = self.rnn(X, state)\n        return outputs, state\n": (
        ")\n\n    def forward(self, X, state=None):\n"
        "        X = d2l.transpose(X, (1, 0, 2))\n"
        "        outputs, *state = self.rnn(X, initial_state=state)\n"
        "        return d2l.transpose(outputs, (1, 0, 2)), state\n"
    ),
}
_lock = threading.RLock()


def lookup(package: str, name: str) -> Any:
    """`name` from the d2l of the backend `package`, such as "d2lext.torch".

    Raises AttributeError if d2l is not installed, does not load, or lacks the name.
    """
    lacking = f"module {package!r} has no attribute {name!r}"
    # No public name of d2l starts this way; Python and IPython ask for many that do.
    if name.startswith("_"):
        raise AttributeError(lacking)
    original = f"d2l.{package.rpartition('.')[2]}"
    try:
        module = _load(package, original)
    except ImportError as error:
        if error.name in ("d2l", original):
            remedy = "for d2l's further names, pip install --no-deps d2l==1.0.3"
        else:
            remedy = f"{original}, which may have it, does not load ({error})"
        message = f"{lacking}: d2lext does not define it; {remedy}"
        raise AttributeError(message) from error
    if name in vars(module):
        return vars(module)[name]
    ours = getattr(sys.modules.get(package), "__all__", ())
    close = difflib.get_close_matches(name, {*ours, *vars(module)})
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise AttributeError(f"{lacking}, nor has {original}{hint}")


def _load(package: str, original: str) -> types.ModuleType:
    """The module `original`, such as "d2l.torch", loaded once, on `package`'s classes."""
    with _lock:
        if original in sys.modules:
            return sys.modules[original]
        spec = importlib.util.find_spec(original)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"No module named {original!r}", name=original)
        # First d2l's plotting libraries, which must not import a placeholder.
        importlib.import_module("matplotlib.pyplot")
        importlib.import_module("IPython.display")
        source = Path(spec.origin).read_text("utf-8")
        for old, new in _REPAIRS.items():
            source = source.replace(old, new)
        module = importlib.util.module_from_spec(spec)
        late = [_Late(name) for name in _LATE if name not in sys.modules]
        state = random.getstate()  # d2l.jax draws a number
        sys.modules.update({m.__name__: m for m in [*late, module]})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of escapes in d2l's strings
                code = compile(_on_ours(package, source), spec.origin, "exec")
                exec(code, vars(module))
        except BaseException:
            del sys.modules[original]
            raise
        finally:
            random.setstate(state)
            for placeholder in late:
                del sys.modules[placeholder.__name__]
        setattr(sys.modules["d2l"], original.removeprefix("d2l."), module)
        return module


def _on_ours(package: str, source: str) -> ast.Module:
    """d2l's code, with the base classes of `package` in place of its own."""
    tree = ast.parse(source)
    for i, node in enumerate(tree.body):
        name = node.name if isinstance(node, ast.ClassDef) else ""
        if package.rpartition(".")[2] in _BASES.get(name, ()):
            [tree.body[i]] = ast.parse(f"from {package} import {name}").body
    return tree


class _Late(types.ModuleType):
    """A placeholder for a module, or for something in it, that imports on first use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        # While d2l loads, names that it imports from this module are placeholders, too.
        if sys.modules.get(self.__name__) is self:
            return _Late(f"{self.__name__}.{name}")
        return getattr(self._import(), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._import()(*args, **kwargs)

    def _import(self):
        library = self.__name__.partition(".")[0]
        try:
            return pkgutil.resolve_name(self.__name__)
        # A module built for another version of its framework may raise anything.
        except Exception as error:
            raise ImportError(
                f"this part of d2l needs {library} ({error}): pip install {library}",
                name=library,
            ) from error
