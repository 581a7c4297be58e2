"""Weights of DenseNets in PyTorch: by canonical name, to and from NumPy and files."""

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from d2lext.core.densenet import computation
from d2lext.core.densenet import weights as core
from d2lext.torch.module import in_mode

__all__ = [
    "architecture_of",
    "get_weights",
    "set_weights",
    "save_weights",
    "load_weights",
]

_COUNTER = "num_batches_tracked"
_KINDS = {
    nn.Conv2d: "conv",
    nn.BatchNorm2d: "norm",
    nn.SyncBatchNorm: "norm",
    nn.Linear: "linear",
}
_NO_EFFECT = (nn.Flatten, nn.Identity, nn.Dropout, nn.Dropout2d)  # on predictions


def named_tensors(model, head=True):
    """The model's own tensors, running statistics included, by canonical name.

    Without `head`, those of the features alone, whatever follows them.
    """
    architecture, modules = _match(model, head)
    return _named(architecture, modules, head)


def check_built(model):
    """Raise ValueError if the model has no weights yet."""
    if any(is_lazy(param) for param in model.parameters()):
        raise core.not_built(model)


def to_numpy(tensor):
    """A copy of a parameter, gradient or statistic, in canonical layout."""
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy().copy()


def _match(model, head=True):
    """The architecture, and the module of each of its layers."""
    check_built(model)
    kinds = {module: _kind(module) for module in model.modules()}
    modules = [module for module, kind in kinds.items() if kind]
    shapes = [getattr(module.weight, "shape", ()) for module in modules]
    layers = [(kinds[m], tuple(s)) for m, s in zip(modules, shapes, strict=True)]
    return core.match(model, layers, head), modules


def _named(architecture, modules, head):
    """The tensors of the layers; None where one is missing."""
    return {
        name: getattr(module, name.rpartition(".")[2])
        for layer, module in zip(architecture.layers(head), modules, strict=head)
        for name in layer.tensors()
    }


def _architecture(model, head):
    """The architecture of a model that has a DenseNet's tensors alone."""
    architecture, modules = _match(model, head)
    own = _named(architecture, modules, head)
    state = model.state_dict(keep_vars=True)
    ids = {id(tensor) for tensor in state.values()}
    # What a tensor is computed from, as after pruning, is no other one.
    sources = {
        id(part)
        for module in modules[: len(architecture.layers(head))]
        if any(t is not None and id(t) not in ids for t in (module.weight, module.bias))
        for part in module.state_dict(keep_vars=True).values()
    }
    # Averages over all batches need the number of batches; others do not.
    counters = {
        id(getattr(module, _COUNTER, None))
        for module in modules
        if getattr(module, "momentum", None) is not None
    }
    found = [
        (name, tensor)
        for name, tensor in state.items()
        if not name.endswith("_extra_state") and id(tensor) not in sources | counters
    ]
    core.check_tensors(model, own, found, head)
    return architecture


def _kind(module):
    """What a layer is to an architecture; None if it has no weights of its own."""
    # A lazy layer stays one until its first input, even with weights from a file.
    cls = getattr(module, "cls_to_become", None) or type(module)
    return next((kind for c, kind in _KINDS.items() if issubclass(cls, c)), None)


def _read(model):
    # Older pruning and normalization compute a weight before each forward pass.
    with torch.no_grad(), in_mode(model, training=False):
        for module in model.modules():
            for hook in module._forward_pre_hooks.values():
                if type(hook).__module__.startswith("torch.nn.utils."):
                    hook(module, ())
    return {name: to_numpy(tensor) for name, tensor in named_tensors(model).items()}


def _write(model, weights):
    tensors = named_tensors(model, core.has_head(weights))
    own = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
    for name, tensor in tensors.items():
        if id(tensor) not in own:
            raise ValueError(
                f"{name} must be a parameter, got one that {type(model).__name__} "
                "computes from others, as after pruning: make it permanent first, for "
                "example by torch.nn.utils.prune.remove or remove_parametrizations"
            )
    cast = {n: torch.from_numpy(weights[n]).to(t.dtype) for n, t in tensors.items()}
    for name, array in cast.items():
        core.check_cast(name, array.isfinite().all(), array.dtype)
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(cast[name])


def _options(model, head):
    """The epsilon of each normalization, the strides of each convolution."""
    architecture, modules = _match(model, head)
    names = {"norm": "eps", "conv": "stride"}
    layers = zip(architecture.layers(head), modules, strict=head)
    return {l.name: getattr(m, names[l.kind]) for l, m in layers if l.kind in names}


def _computed(model):
    """(what it is, its name) of each layer, with weights or not, in forward order."""
    for name, module in model.net.named_modules(prefix="net"):
        if kind := _kind(module):
            yield kind, name
        elif not (
            any(module.children())
            or isinstance(module, _NO_EFFECT)
            or ".parametrizations." in name
        ):
            yield _function(module) or str(module), name


def _function(module):
    """What a layer without weights is, if a DenseNet has it."""
    kind = type(module)
    if kind is nn.ReLU:
        return computation.RELU
    if kind is nn.AdaptiveAvgPool2d and module.output_size in (1, (1, 1)):
        return computation.GLOBAL
    if kind in (nn.MaxPool2d, nn.AvgPool2d):
        name = computation.MAX if kind is nn.MaxPool2d else computation.AVERAGE
        return computation.pooling(name, module.kernel_size, module.stride)
    return None


_weights = core.Weights(_architecture, _read, _write, _options, _computed)
architecture_of = _weights.architecture_of
get_weights = _weights.get_weights
set_weights = _weights.set_weights
save_weights = _weights.save_weights
load_weights = _weights.load_weights
