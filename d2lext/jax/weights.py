"""Weights of DenseNets in JAX: by canonical name, to and from NumPy and files."""

import numpy as np
from flax import traverse_util
from jax import numpy as jnp

from d2lext.core.densenet import weights as core

_KINDS = {("kernel", 4): "conv", ("scale", 1): "norm", ("kernel", 2): "linear"}
_NAMES = {  # Flax's own, and the collection that holds them
    "kernel": ("params", "weight"),
    "scale": ("params", "weight"),
    "bias": ("params", "bias"),
    "mean": ("batch_stats", "running_mean"),
    "var": ("batch_stats", "running_var"),
}


def architecture_of(model):
    """The architecture of a built DenseNet.

    Raises TypeError for other models and ValueError for one that is not built, or whose
    layers are not those that its hyperparameters describe.
    """
    return _match(model)[0]


def get_weights(model):
    """A copy of the weights by canonical name, NumPy arrays in canonical layout."""
    return {name: to_numpy(array) for name, array in named_tensors(model).items()}


def set_weights(model, weights):
    """Give `model` the `weights`, as `get_weights` returns them.

    Raises ValueError, and changes nothing, unless they fit exactly.
    """
    architecture, _ = _match(model)
    weights = core.check(weights, architecture)
    flat = traverse_util.flatten_dict(model.variables)
    for name, path in _places(model).items():
        flat[path] = jnp.asarray(_own(weights[name]))
    model.variables = traverse_util.unflatten_dict(flat)


def save_weights(model, path):
    """Write the weights to `path`, as safetensors that every framework here reads."""
    core.save(path, get_weights(model), architecture_of(model))


def load_weights(model, path):
    """Give `model` the weights in the file at `path`.

    It may come from `save_weights`, torchvision, Keras or Gluon: its content tells which.
    Raises ValueError, and changes nothing, unless all tensors fit.
    """
    set_weights(model, core.load(path, architecture_of(model)))


def named_tensors(model, variables=None):
    """The model's arrays, running statistics included, by canonical name.

    Given other `variables` of the same structure, such as gradients, those in them.
    """
    places = _places(model)
    flat = traverse_util.flatten_dict(variables or model.variables)
    return {name: flat[path] for name, path in places.items() if path in flat}


def check_built(model):
    """Raise ValueError if the model has no weights yet."""
    if model.variables is None:
        raise core.not_built(model)


def to_numpy(array):
    """A copy of a parameter, gradient or statistic, in canonical layout."""
    return np.array(_canonical(np.asarray(array)), np.float32, order="C")


def _canonical(array):
    """(h, w, in, out) as (out, in, h, w), and (in, out) as (out, in)."""
    return array if array.ndim == 1 else np.moveaxis(array, (-1, -2), (0, 1))


def _own(array):
    """The reverse of `_canonical`."""
    return array if array.ndim == 1 else np.moveaxis(array, (0, 1), (-1, -2))


def _places(model):
    """The path in the variables of each tensor, by canonical name."""
    architecture, paths = _match(model)
    flat = traverse_util.flatten_dict(model.variables)
    places = {}
    for layer, path in zip(architecture.layers(), paths, strict=True):
        for own, (collection, name) in _NAMES.items():
            if (collection, *path, own) in flat:
                places[f"{layer.name}.{name}"] = (collection, *path, own)
    return {name: places[name] for name in architecture.tensors()}


def _match(model):
    """The architecture, and the path of each of its layers in the variables."""
    check_built(model)
    params = traverse_util.flatten_dict(model.variables["params"])
    weights = {path[:-1]: (path[-1], a) for path, a in params.items()}
    weights |= {path[:-1]: (path[-1], a) for path, a in params.items() if a.ndim > 1}
    weights |= {p[:-1]: (p[-1], a) for p, a in params.items() if p[-1] == "scale"}
    paths = sorted(weights, key=_position)
    found = []
    for path in paths:
        name, array = weights[path]
        # Of an empty array of NumPy's: JAX would compile a transposition.
        shape = _canonical(np.empty(array.shape)).shape
        found.append((_KINDS.get((name, array.ndim), name), shape))
    return core.match(model, found), paths


def _position(path):
    """Where Flax's names, such as layers_10 or BatchNorm_0, stand in the forward pass.

    Numbers count from 0 for each kind of layer; a block normalizes first.
    """
    parts = (part.rpartition("_") for part in path)
    return [(int(n) if n.isdigit() else 0, kind) for kind, _, n in parts]
