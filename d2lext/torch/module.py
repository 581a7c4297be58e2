"""Models in PyTorch: the base classes that a chapter's networks extend."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.lazy import LazyModuleMixin

from d2lext.core import module as core
from d2lext.core.checks import check_image_size
from d2lext.core.densenet import initializers

__all__ = ["Module", "Classifier", "init_cnn", "init_he", "num_params"]


class Module(core.Module, nn.Module):
    """Base of models: a network `net`, a loss and an optimiser."""

    def forward(self, X):
        """The network's output for X."""
        if X.ndim == 4:
            check_image_size(X.shape[2:], self.min_image_size, type(self).__name__)
        return self.net(X)

    def plot(self, key, value, train):
        """Hand a scalar of this batch to the trainer, which averages and draws it."""
        self.trainer.log(key, value.detach(), train)

    def configure_optimizers(self):
        return torch.optim.SGD(
            self.parameters(),
            lr=self.lr,
            momentum=getattr(self, "momentum", 0),
            weight_decay=getattr(self, "weight_decay", 0),
        )

    def apply_init(self, inputs, init=None):
        """Build lazy layers by a forward pass of `inputs`, then apply `init`."""
        self.forward(*inputs)
        if init is not None:
            self.net.apply(init)


class Classifier(core.Classifier, Module):
    """Base of classifiers: cross-entropy loss and accuracy."""

    def accuracy(self, Y_hat, Y, averaged=True):
        """The share of correct predictions; if not `averaged`, 0 or 1 for each."""
        core.check_labels(Y_hat.shape, Y.shape)
        Y_hat = Y_hat.reshape(-1, Y_hat.shape[-1])
        compare = (Y_hat.argmax(dim=1) == Y.reshape(-1)).float()
        return compare.mean() if averaged else compare

    def loss(self, Y_hat, Y, averaged=True):
        """The cross-entropy of logits Y_hat (n, classes) and labels Y (n,).

        It is NaN if a label is not one of the classes; -100 is not ignored. To leave out
        examples, select from their losses, which are those that are not `averaged`.
        """
        core.check_labels(Y_hat.shape, Y.shape)
        Y_hat, Y = Y_hat.reshape(-1, Y_hat.shape[-1]), Y.reshape(-1)
        # On a GPU, a label outside would end the process.
        labels = Y.long().clamp(0, Y_hat.shape[-1] - 1)
        valid = labels == Y
        l = F.cross_entropy(Y_hat, labels, reduction="mean" if averaged else "none")
        return torch.where(valid.all() if averaged else valid, l, torch.nan)

    def layer_summary(self, X_shape):
        """Print the output shape of each layer of `net` for an input of `X_shape`."""
        device = next((p.device for p in self.parameters()), None)
        X = torch.randn(*X_shape, device=device)
        training = self.training
        self.eval()  # leaves BatchNorm's statistics alone
        with torch.no_grad():
            for layer in self.net:
                X = layer(X)
                print(f"{type(layer).__name__:<23} {tuple(X.shape)}")
        self.train(training)


def init_cnn(module):
    """Xavier-uniform weights and zero biases for linear and convolutional layers.

    Use it as `net.apply(init_cnn)`. A lazy layer is initialised in its first forward
    pass, as soon as it has weights. While a trainer builds a model, its seed determines
    the weights, equal in every framework.
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


def _init(module, draw, otherwise):
    """Initialise a layer; a lazy one, in the forward pass that gives it its shape."""
    if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():

        def init_once(module, _):
            hook.remove()
            _init(module, draw, otherwise)

        # Pre-hooks run in order of registration: first the layer's own, which creates
        # the weights.
        hook = module.register_forward_pre_hook(init_once)
        return
    weights = initializers.draw_oihw(draw, module.weight.shape)
    with torch.no_grad():
        if weights is None:
            otherwise(module.weight)
        else:
            module.weight.copy_(torch.from_numpy(weights))
        if module.bias is not None:
            module.bias.zero_()
