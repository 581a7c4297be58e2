"""Weights of DenseNets in MXNet: by canonical name, to and from NumPy and files."""

import numpy
from mxnet import np
from mxnet.gluon import nn
from mxnet.gluon.utils import shape_is_known

from d2lext.core.densenet import computation
from d2lext.core.densenet import weights as core

__all__ = [
    "architecture_of",
    "get_weights",
    "set_weights",
    "save_weights",
    "load_weights",
]

_KINDS = {nn.Conv2D: "conv", nn.BatchNorm: "norm", nn.Dense: "linear"}
_NO_EFFECT = (nn.Flatten, nn.Dropout)  # on predictions
_GLUON = {"norm": {"weight": "gamma", "bias": "beta"}}  # its names, where different


def named_tensors(model, head=True):
    """The model's own parameters, running statistics included, by canonical name.

    Without `head`, those of the features alone, whatever follows them.
    """
    return _named(*_match(model, head), head)


def check_built(model):
    """Raise ValueError if the model has no weights yet."""
    if not all(shape_is_known(p.shape) for p in model.collect_params().values()):
        raise core.not_built(model)


def to_numpy(array):
    """A copy of a parameter, gradient or statistic, in canonical layout."""
    return array.asnumpy().astype(numpy.float32)


def _match(model, head=True):
    """The architecture, and the block of each of its layers."""
    check_built(model)
    blocks = list(_blocks(model))
    layers = [(_KINDS[type(b)], _weight(b).shape) for b in blocks]
    return core.match(model, layers, head), blocks


def _named(architecture, blocks, head):
    """The parameters of the layers; None where one is missing, or ignored."""
    named = {}
    for layer, block in zip(architecture.layers(head), blocks, strict=head):
        gluon = _GLUON.get(layer.kind, {})
        for name in layer.tensors():
            last = name.rpartition(".")[2]
            named[name] = getattr(block, gluon.get(last, last))
        if layer.kind == "norm" and block._kwargs["fix_gamma"]:
            named[f"{layer.name}.weight"] = None
    return named


def _architecture(model, head):
    """The architecture of a model that has a DenseNet's parameters alone."""
    architecture, blocks = _match(model, head)
    own = _named(architecture, blocks, head)
    # As save_parameters names them: only its names tell the blocks.
    found = model._collect_params_with_prefix().items()
    core.check_tensors(model, own, found, head)
    return architecture


def _blocks(block):
    """The layers with weights within `block`, in the order in which they were added."""
    if type(block) in _KINDS:
        yield block
    for child in block._children.values():
        yield from _blocks(child)


def _weight(block):
    return block.gamma if type(block) is nn.BatchNorm else block.weight


def _read(model):
    return {name: to_numpy(p.data()) for name, p in named_tensors(model).items()}


def _write(model, weights):
    params = named_tensors(model, core.has_head(weights))
    for name, param in params.items():
        with numpy.errstate(over="ignore"):
            is_finite = numpy.isfinite(weights[name].astype(param.dtype)).all()
        core.check_cast(name, is_finite, param.dtype)
    for name, param in params.items():
        # As an MXNet array: NumPy's cannot overwrite one in a oneDNN layout.
        param.set_data(np.array(weights[name]))


def _options(model, head):
    """The epsilon of each normalization, the strides of each convolution."""
    architecture, blocks = _match(model, head)
    names = {"norm": "eps", "conv": "stride"}
    layers = zip(architecture.layers(head), blocks, strict=head)
    return {l.name: b._kwargs[names[l.kind]] for l, b in layers if l.kind in names}


def _computed(model):
    """(what it is, its name) of each layer, with weights or not, in forward order."""
    yield from _parts("net", model.net)


def _parts(name, block):
    if kind := _KINDS.get(type(block)):
        yield kind, name
    elif not (block._children or isinstance(block, _NO_EFFECT)):
        yield _function(block) or type(block).__name__, name
    for key, child in block._children.items():  # an activation of a layer, too
        yield from _parts(f"{name}.{key}", child)


def _function(block):
    """What a layer without weights is, if a DenseNet has it."""
    kind = type(block)
    if kind is nn.Activation and block._act_type == "relu":
        return computation.RELU
    if kind is nn.GlobalAvgPool2D:
        return computation.GLOBAL
    if kind in (nn.MaxPool2D, nn.AvgPool2D):
        name = computation.MAX if kind is nn.MaxPool2D else computation.AVERAGE
        return computation.pooling(name, *map(block._kwargs.get, ("kernel", "stride")))
    return None


_weights = core.Weights(_architecture, _read, _write, _options, _computed)
architecture_of = _weights.architecture_of
get_weights = _weights.get_weights
set_weights = _weights.set_weights
save_weights = _weights.save_weights
load_weights = _weights.load_weights
