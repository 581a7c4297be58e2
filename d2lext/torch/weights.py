"""Weights of DenseNets in PyTorch: by canonical name, to and from NumPy and files."""

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from d2lext.core.densenet import weights as core

_KINDS = {nn.Conv2d: "conv", nn.BatchNorm2d: "norm", nn.Linear: "linear"}


def architecture_of(model):
    """The architecture of a built DenseNet.

    Raises TypeError for other models and ValueError for one that is not built, or whose
    layers are not those that its hyperparameters describe.
    """
    return _match(model)[0]


def get_weights(model):
    """A copy of the weights by canonical name, NumPy arrays in canonical layout."""
    return {name: to_numpy(tensor) for name, tensor in named_tensors(model).items()}


def set_weights(model, weights):
    """Give `model` the `weights`, as `get_weights` returns them.

    Raises ValueError, and changes nothing, unless they fit exactly.
    """
    architecture, _ = _match(model)
    weights = core.check(weights, architecture)
    with torch.no_grad():
        for name, tensor in named_tensors(model).items():
            tensor.copy_(torch.from_numpy(weights[name]))


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
    """The model's own tensors, running statistics included, by canonical name."""
    architecture, modules = _match(model)
    return {
        name: getattr(module, name.rpartition(".")[2])
        for layer, module in zip(architecture.layers(), modules, strict=True)
        for name in layer.tensors()
    }


def check_built(model):
    """Raise ValueError if the model has no weights yet."""
    if any(is_lazy(param) for param in model.parameters()):
        raise core.not_built(model)


def to_numpy(tensor):
    """A copy of a parameter, gradient or statistic, in canonical layout."""
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy().copy()


def _match(model):
    """The architecture, and the module of each of its layers."""
    check_built(model)
    modules = [m for m in model.modules() if isinstance(m, tuple(_KINDS))]
    found = [(_KINDS[type(m)], tuple(m.weight.shape)) for m in modules]
    return core.match(model, found), modules
