"""Weights of DenseNets in MXNet: by canonical name, to and from NumPy and files."""

import numpy
from mxnet import np
from mxnet.gluon import nn
from mxnet.gluon.utils import shape_is_known

from d2lext.core.densenet import weights as core

_KINDS = {nn.Conv2D: "conv", nn.BatchNorm: "norm", nn.Dense: "linear"}
_NAMES = {"norm": {"weight": "gamma", "bias": "beta"}}  # Gluon's own


def architecture_of(model):
    """The architecture of a built DenseNet.

    Raises TypeError for other models and ValueError for one that is not built, or whose
    layers are not those that its hyperparameters describe.
    """
    return _match(model)[0]


def get_weights(model):
    """A copy of the weights by canonical name, NumPy arrays in canonical layout."""
    return {name: to_numpy(p.data()) for name, p in named_tensors(model).items()}


def set_weights(model, weights):
    """Give `model` the `weights`, as `get_weights` returns them.

    Raises ValueError, and changes nothing, unless they fit exactly.
    """
    architecture, _ = _match(model)
    weights = core.check(weights, architecture)
    for name, param in named_tensors(model).items():
        # An array of MXNet's: NumPy's cannot overwrite what oneDNN has laid out anew.
        param.set_data(np.array(weights[name]))


def save_weights(model, path):
    """Write the weights to `path`, as safetensors that every framework here reads."""
    core.save(path, get_weights(model), architecture_of(model))


def load_weights(model, path):
    """Give `model` the weights in the file at `path`.

    It may come from `save_weights`, torchvision, Keras or Gluon: its content tells which.
    Raises ValueError, and changes nothing, unless all tensors fit.
    """
    set_weights(model, core.load(path, architecture_of(model)))


def named_tensors(model):
    """The model's own parameters, running statistics included, by canonical name."""
    architecture, blocks = _match(model)
    named = {}
    for layer, block in zip(architecture.layers(), blocks, strict=True):
        own = _NAMES.get(layer.kind, {})
        for name in layer.tensors():
            last = name.rpartition(".")[2]
            named[name] = getattr(block, own.get(last, last))
    return named


def check_built(model):
    """Raise ValueError if the model has no weights yet."""
    if not all(shape_is_known(p.shape) for p in model.collect_params().values()):
        raise core.not_built(model)


def to_numpy(array):
    """A copy of a parameter, gradient or statistic, in canonical layout."""
    return array.asnumpy().astype(numpy.float32)


def _match(model):
    """The architecture, and the block of each of its layers."""
    check_built(model)
    blocks = list(_blocks(model))
    found = [(_KINDS[type(b)], _weight(b).shape) for b in blocks]
    return core.match(model, found), blocks


def _blocks(block):
    """The layers with weights within `block`, in the order in which they were added."""
    if type(block) in _KINDS:
        yield block
    for child in block._children.values():
        yield from _blocks(child)


def _weight(block):
    return block.gamma if type(block) is nn.BatchNorm else block.weight
