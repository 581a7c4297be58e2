"""Weights of DenseNets in JAX: by canonical name, to and from NumPy and files."""

import contextlib
import types

import jax
import numpy as np
from flax import linen as nn
from flax import traverse_util
from jax import numpy as jnp

from d2lext.core.densenet import computation
from d2lext.core.densenet import weights as core
from d2lext.core.densenet.layouts import hwio_to_oihw, oihw_to_hwio

__all__ = [
    "architecture_of",
    "get_weights",
    "set_weights",
    "save_weights",
    "load_weights",
]

_KINDS = {("kernel", 4): "conv", ("scale", 1): "norm", ("kernel", 2): "linear"}
_LAYERS = {nn.Conv: "conv", nn.BatchNorm: "norm", nn.Dense: "linear"}
_FLAX = {  # its names: the collection, and the canonical name in it
    "kernel": ("params", "weight"),
    "scale": ("params", "weight"),
    "bias": ("params", "bias"),
    "mean": ("batch_stats", "running_mean"),
    "var": ("batch_stats", "running_var"),
}


def named_tensors(model, variables=None):
    """The model's arrays, running statistics included, by canonical name.

    With other `variables` of the same structure, such as gradients, theirs.
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
    return np.array(hwio_to_oihw(np.asarray(array)), np.float32, order="C")


def _match(model, head=True):
    """The architecture, and the path of each of its layers in the variables."""
    check_built(model)
    params = traverse_util.flatten_dict(model.variables["params"])
    weights = {
        p[:-1]: (p[-1], a) for p, a in params.items() if (p[-1], a.ndim) in _KINDS
    }
    paths = sorted(weights, key=_position)
    layers = []
    for path in paths:
        name, array = weights[path]
        # Transpose an empty NumPy array: JAX would compile a transposition.
        shape = hwio_to_oihw(np.empty(array.shape)).shape
        layers.append((_KINDS[name, array.ndim], shape))
    return core.match(model, layers, head), paths


def _position(path):
    """Where Flax's names, such as layers_10 or BatchNorm_0, are in the forward pass.

    Numbers count from 0 for each kind of layer; a block normalizes first.
    """
    parts = (part.rpartition("_") for part in path)
    return [(int(n) if n.isdigit() else 0, kind) for kind, _, n in parts]


def _places(model, head=True):
    """The path of each tensor in the variables, by canonical name.

    Without `head`, those of the features alone, whatever follows them.
    """
    architecture, paths = _match(model, head)
    flat = traverse_util.flatten_dict(model.variables)
    places = {}
    for layer, path in zip(architecture.layers(head), paths, strict=head):
        for last, (collection, name) in _FLAX.items():
            if (collection, *path, last) in flat:
                places[f"{layer.name}.{name}"] = (collection, *path, last)
    return {name: places.get(name) for name in architecture.tensors(head)}


def _architecture(model, head):
    """The architecture of a model that has a DenseNet's arrays alone."""
    architecture, _ = _match(model, head)
    flat = traverse_util.flatten_dict(model.variables)
    paths = sorted(flat, key=lambda path: _position(path[1:]))
    same = dict(zip(paths, paths, strict=True))  # which stand for the arrays
    own = {name: same.get(path) for name, path in _places(model, head).items()}
    found = [(".".join(path), path) for path in paths]
    core.check_tensors(model, own, found, head)
    return architecture


def _read(model):
    return {name: to_numpy(array) for name, array in named_tensors(model).items()}


def _write(model, weights):
    flat = traverse_util.flatten_dict(model.variables)
    for name, path in _places(model, core.has_head(weights)).items():
        # As a copy of its own; jnp.asarray would compile a program for each shape.
        flat[path] = jax.device_put(np.array(oihw_to_hwio(weights[name]), np.float32))
    model.variables = traverse_util.unflatten_dict(flat)


def _options(model, head):
    """The epsilon of each normalization, the strides of each convolution."""
    if type(model).__module__.startswith("d2lext.jax."):  # the chapters' have ours
        return {}
    architecture, paths = _match(model, head)
    layers = zip(architecture.layers(head), paths, strict=head)
    found = {}

    def note(call, args, kwargs, context):
        layer = context.module
        if isinstance(layer, nn.BatchNorm):
            found[layer.path] = layer.epsilon
        elif isinstance(layer, nn.Conv):
            found[layer.path] = np.broadcast_to(layer.strides or 1, 2).tolist()
        return call(*args, **kwargs)

    size = architecture.min_image_size
    X = jnp.zeros((1, size, size, architecture.in_channels))
    # Flax keeps options nowhere but in the code. A head may need larger images; the
    # features are known by then.
    with nn.intercept_methods(note), contextlib.suppress(Exception):
        jax.eval_shape(
            lambda variables, X: model.evaluating().apply(variables, X, mutable=True),
            model.variables,
            X,
        )
    return {layer.name: found[path] for layer, path in layers if path in found}


def _computed(model):
    """(what it is, its name) of each layer, with weights or not, in forward order.

    What is between the stem and the head is in the code of its classes, which is not seen.
    """
    architecture, _ = _match(model, head=False)
    known = list(computation.expected(architecture, head=True))
    if type(model).__module__.startswith("d2lext.jax."):
        return known
    net = getattr(model.evaluating().bind(model.variables), "net", None)
    if not isinstance(net, nn.Sequential):
        return known
    found = []
    for i, layer in enumerate(net.layers):
        name, kind = f"layers_{i}", type(layer)
        if kind in _LAYERS:
            found.append((_LAYERS[kind], name))
        elif name in model.variables["params"]["net"]:  # a block; the head has four
            found += known[len(found) : -4]
        elif kind is not nn.Dropout:
            here = known[len(found)][0] if len(found) < len(known) else None
            found.append((_function(layer, here), name))
    return found


def _function(layer, here):
    """What a layer without weights is: a function of one's own may be a pooling."""
    layer = getattr(layer, "func", layer)  # of a partial one
    if layer in (nn.relu, nn.max_pool):
        return computation.RELU if layer is nn.relu else computation.MAX
    of_flax = getattr(layer, "__module__", "").startswith(("jax.", "flax."))
    is_own = isinstance(layer, types.FunctionType) and not of_flax
    if is_own and here in (computation.MAX, computation.GLOBAL):
        return here
    return getattr(layer, "__name__", type(layer).__name__)


_weights = core.Weights(_architecture, _read, _write, _options, _computed)
architecture_of = _weights.architecture_of
get_weights = _weights.get_weights
set_weights = _weights.set_weights
save_weights = _weights.save_weights
load_weights = _weights.load_weights
