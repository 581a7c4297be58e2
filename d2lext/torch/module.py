"""Models in PyTorch: the base classes that a chapter's networks extend."""

import contextlib
import copy
import functools
import threading
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parameter import UninitializedBuffer, is_lazy

from d2lext.core import images
from d2lext.core import module as core
from d2lext.core.densenet import initializers
from d2lext.core.turns import turn

__all__ = ["Module", "Classifier", "init_cnn", "init_he", "num_params"]


class Module(core.Module, nn.Module):
    """Base of models: a network `net`, a loss and an optimiser."""

    def forward(self, X):
        """The network's output for X."""
        images.check(self, X.shape, in_channels)
        return self.net(_converted(self, X))

    def __deepcopy__(self, memo):
        # PyTorch copies lazy parameters, but not lazy buffers, as of normalization.
        for buffer in filter(is_lazy, self.buffers()):
            options = {"device": buffer.device, "dtype": buffer.dtype}
            memo[id(buffer)] = UninitializedBuffer(**options)
        memo[id(self)] = twin = type(self).__new__(type(self))
        twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin

    def plot(self, key, value, train):
        """Hand a scalar of this batch to the trainer, which averages and draws it."""
        self.trainer.log(key, value.detach(), train)

    def configure_optimizers(self):
        lr, momentum, weight_decay = self.sgd_options()
        nesterov, decay_all = self.sgd_flags()
        params = list(self.parameters())
        if not decay_all:
            others = {"params": [p for p in params if p.ndim < 2], "weight_decay": 0}
            params = [{"params": [p for p in params if p.ndim > 1]}, others]
        options = {"nesterov": nesterov}
        if _is_fusible(self):
            options["fused"] = True
        return torch.optim.SGD(params, lr, momentum, 0, weight_decay, **options)

    def apply_init(self, inputs, init=None):
        """Build lazy layers by a forward pass of `inputs`, then apply `init`."""
        self.forward(*inputs)
        if init is not None:
            self.net.apply(init)


class Classifier(core.Classifier, Module):
    """Base of classifiers: cross-entropy loss and accuracy."""

    def accuracy(self, Y_hat, Y, averaged=True):
        """The share of correct predictions; if not `averaged`, 0 or 1 for each."""
        if core.check_labels(Y_hat.shape, Y.shape, Y.is_floating_point()):
            Y = Y.argmax(dim=-1)
        Y_hat = Y_hat.reshape(-1, Y_hat.shape[-1])
        compare = (Y_hat.argmax(dim=1) == _comparable(Y.reshape(-1))).float()
        return compare.mean() if averaged else compare

    def loss(self, Y_hat, Y, averaged=True):
        """The cross-entropy of logits Y_hat (n, classes) and labels Y (n,).

        Y may also be rows of probabilities (n, classes), floats. In training mode labels
        are smoothed by `label_smoothing`, if the model has it. The loss is NaN if a label
        is not one of the classes; -100 is not ignored. To leave out examples, select from
        their losses, which are those that are not `averaged`.
        """
        are_rows = core.check_labels(Y_hat.shape, Y.shape, Y.is_floating_point())
        Y_hat = Y_hat.reshape(-1, Y_hat.shape[-1])
        options = {
            "reduction": "mean" if averaged else "none",
            "label_smoothing": self.smoothing() if self.training else 0.0,
        }
        if are_rows:
            Y = Y.reshape(Y_hat.shape)
            dtype = torch.promote_types(Y_hat.dtype, Y.dtype)
            return F.cross_entropy(Y_hat.to(dtype), Y.to(dtype), **options)
        Y = _comparable(Y.reshape(-1))
        # On a GPU, a label outside would end the process.
        labels = Y.long().clamp(0, Y_hat.shape[-1] - 1)
        valid = labels == Y
        l = F.cross_entropy(Y_hat, labels, **options)
        return torch.where(valid.all() if averaged else valid, l, torch.nan)

    def layer_summary(self, X_shape):
        """Print the output shape of each layer of `net` for an input of `X_shape`."""
        images.check(self, X_shape, in_channels)
        param = next(self.parameters(), torch.empty(0))
        X = torch.randn(*X_shape, dtype=param.dtype, device=param.device)
        # Evaluation leaves BatchNorm's statistics alone.
        with torch.no_grad(), in_mode(self, training=False):
            for layer in self.net:
                X = layer(X)
                print(f"{type(layer).__name__:<23} {tuple(X.shape)}")


def init_cnn(module):
    """Xavier-uniform weights and zero biases for linear and convolutional layers.

    Use it as `net.apply(init_cnn)`. A lazy layer is initialised in its first forward
    pass, unless weights have been loaded into it. While a trainer builds a model, its seed
    determines the weights, equal in every framework.
    """
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        _init(module, initializers.xavier_uniform, nn.init.xavier_uniform_)


def init_he(module):
    """Like `init_cnn`, but with He's normal distribution for convolutions."""
    if isinstance(module, nn.Conv2d):
        _init(module, initializers.he_normal, nn.init.kaiming_normal_)
    else:
        init_cnn(module)


def num_params(model):
    """The number of trainable parameters of a built model."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@contextlib.contextmanager
def in_mode(model, training):
    """Within, all of the model trains or evaluates; then each part as it did before.

    Several threads may evaluate it at once: the last to leave puts it back. Those that
    train it do so one after another.
    """
    with turn(model, shared=not training):
        with _changing:
            use = _evaluated.get(model) if not training else None
            if use is None:
                use = _Use([(module, module.training) for module in model.modules()])
                model.train(training)
                if not training:
                    _evaluated[model] = use
            use.threads += 1
        try:
            yield
        finally:
            with _changing:
                use.threads -= 1
                if not use.threads:
                    model.train(use.before[0][1])
                    for module, mode in use.before:
                        module.training = mode  # one may differ: a frozen normalization
                    if not training:
                        del _evaluated[model]


def in_channels(model):
    """The channels of a network's first convolution; None before its first input."""
    first = _first_convolution(model)
    return first and (first.in_channels or None)


@dataclass
class _Use:
    """The mode that each module of a model had before, and how many threads use it."""

    before: list
    threads: int = 0


_evaluated = {}  # by model
_changing = threading.Lock()


def _is_fusible(model):
    """Whether a program of CUDA's may update all parameters; sparse gradients it cannot."""
    params = list(model.parameters())
    return (
        bool(params)
        and all(p.is_cuda and p.is_floating_point() for p in params)
        and not any(getattr(module, "sparse", False) for module in model.modules())
    )


def _first_convolution(model):
    net = getattr(model, "net", None)
    first = next(iter(net), None) if isinstance(net, nn.Sequential) else None
    return first if isinstance(first, nn.Conv2d) else None


def _converted(model, X):
    """Images in the type of the first convolution's weights; other inputs stay."""
    first = _first_convolution(model)
    weight = next(first.parameters(), None) if first else None  # a replica has none
    is_same = weight is None or X.is_complex() or X.dtype == weight.dtype
    return X if is_same else X.to(weight.dtype)


def _comparable(Y):
    """Labels as int64, with which PyTorch does not compare unsigned ones; floats stay."""
    return Y if Y.is_floating_point() else Y.long()


def _init(module, draw, otherwise):
    """Initialise a layer; a lazy one, once its first input gives it weights."""
    if any(is_lazy(param) for param in module.parameters(recurse=False)):
        # In place of PyTorch's own, which the first input calls. As a part of the layer,
        # not a hook of ours, it is copied and pickled with it.
        initialize = functools.partial(_initialize, module, draw, otherwise)
        module.initialize_parameters = initialize
        return
    weights = initializers.draw_oihw(draw, module.weight.shape)
    with torch.no_grad():
        if weights is None:
            otherwise(module.weight)
        else:
            module.weight.copy_(torch.from_numpy(weights))
        if module.bias is not None:
            module.bias.zero_()


def _initialize(module, draw, otherwise, *inputs, **kwargs):
    """Let a lazy layer see its first input; initialise it unless its weights are loaded."""
    del module.initialize_parameters
    is_new = module.has_uninitialized_params()
    module.initialize_parameters(*inputs, **kwargs)
    if is_new:
        _init(module, draw, otherwise)
