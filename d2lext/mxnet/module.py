"""Models in MXNet: the base classes that a chapter's networks extend."""

import math

from mxnet import gluon, init, np
from mxnet.gluon import nn
from mxnet.gluon.utils import shape_is_known

from d2lext.core.checks import check_image_size
from d2lext.core.densenet import initializers
from d2lext.core.hyperparameters import HyperParameters
from d2lext.core.plotting import ProgressBoard


class Module(nn.Block, HyperParameters):
    """Base of models: a network `net`, a loss and an optimiser."""

    min_image_size = 1  # pixels; a network that shrinks its input says more

    def __init__(self, plot_train_per_epoch=5, plot_valid_per_epoch=1):
        super().__init__()
        self.save_hyperparameters()
        self.board = ProgressBoard()

    def loss(self, y_hat, y):
        """The mean loss of predictions `y_hat` against labels `y`."""
        raise NotImplementedError(f"{type(self).__name__} must define loss(y_hat, y)")

    def forward(self, X):
        """The network's output for X."""
        if X.ndim == 4:
            check_image_size(X.shape[2:], self.min_image_size, type(self).__name__)
        return self.net(X)

    def plot(self, key, value, train):
        """Hand a scalar of this batch to the trainer, which averages and draws it."""
        self.trainer.log(key, value.detach(), train)

    def training_step(self, batch):
        """The mean loss of a minibatch, to be differentiated."""
        l = self.loss(self(*batch[:-1]), batch[-1])
        self.plot("loss", l, train=True)
        return l

    def validation_step(self, batch):
        """Log the loss of a minibatch."""
        self.plot("loss", self.loss(self(*batch[:-1]), batch[-1]), train=False)

    def configure_optimizers(self):
        """Minibatch stochastic gradient descent at the learning rate `self.lr`.

        With `self.momentum` and `self.weight_decay` where the model has them; the
        latter times a weight is added to its gradient.
        """
        params = self.parameters()
        if isinstance(params, list):
            return SGD(params, self.lr)
        # One device has no gradients to share, so it needs no store for them.
        settings = {
            "learning_rate": self.lr,
            "momentum": getattr(self, "momentum", 0),
            "wd": getattr(self, "weight_decay", 0),
        }
        return gluon.Trainer(params, "sgd", settings, kvstore=None)

    def apply_init(self, inputs, init=None):
        """Apply `init`, then draw the weights by a forward pass of `inputs`."""
        if init is not None:
            self.net.apply(init)
        self.forward(*inputs)

    def parameters(self):
        """The layers' parameters by name; without layers, a list of own arrays."""
        params = self.collect_params()
        return params if len(params.keys()) else self.get_scratch_params()

    def get_scratch_params(self):
        """The arrays that this module and the modules in it have as attributes."""
        params = []
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                params.append(value)
            elif isinstance(value, Module):
                params.extend(value.get_scratch_params())
        return params

    def set_scratch_params_device(self, device):
        """Move the arrays of `get_scratch_params` to `device`."""
        for name, value in list(vars(self).items()):
            if isinstance(value, np.ndarray):
                moved = value.as_in_ctx(device)
                moved.attach_grad()
                setattr(self, name, moved)
            elif isinstance(value, Module):
                value.set_scratch_params_device(device)


class Classifier(Module):
    """Base of classifiers: cross-entropy loss and accuracy."""

    def validation_step(self, batch):
        """Log the loss and the accuracy of a minibatch."""
        Y_hat = self(*batch[:-1])
        self.plot("loss", self.loss(Y_hat, batch[-1]), train=False)
        self.plot("acc", self.accuracy(Y_hat, batch[-1]), train=False)

    def accuracy(self, Y_hat, Y, averaged=True):
        """The share of correct predictions, or 0 and 1 for each if not `averaged`."""
        Y_hat = Y_hat.reshape(-1, Y_hat.shape[-1])
        preds = Y_hat.argmax(axis=1).astype(Y.dtype)
        compare = (preds == Y.reshape(-1)).astype(np.float32)
        return compare.mean() if averaged else compare

    def loss(self, Y_hat, Y, averaged=True):
        """The cross-entropy of logits Y_hat (n, classes) and labels Y (n,)."""
        Y_hat = Y_hat.reshape(-1, Y_hat.shape[-1])
        l = gluon.loss.SoftmaxCrossEntropyLoss()(Y_hat, Y.reshape(-1))
        return l.mean() if averaged else l

    def layer_summary(self, X_shape):
        """Print the output shape of each layer of `net` for an input of `X_shape`."""
        X = np.random.randn(*X_shape)
        for layer in self.net:
            X = layer(X)
            print(f"{type(layer).__name__:<23} {tuple(X.shape)}")


def init_cnn(block):
    """Xavier-uniform weights, zero biases; normalization starts as the identity.

    Use it as `net.apply(init_cnn)`. A layer that does not know its input yet draws its
    weights in its first forward pass. While a trainer builds a model, its seed decides
    the weights, the same ones in every framework.
    """
    block.params.initialize(_Xavier(), force_reinit=True)


def init_he(block):
    """As `init_cnn`, but with He's normal distribution for convolutions."""
    is_conv = isinstance(block, nn.Conv2D)
    block.params.initialize(_He() if is_conv else _Xavier(), force_reinit=True)


def num_params(model):
    """The number of trainable parameters of a built model."""
    params = [p for p in model.collect_params().values() if p.grad_req != "null"]
    if not all(shape_is_known(p.shape) for p in params):
        raise ValueError(
            f"{type(model).__name__} has no parameters before its first input: call "
            "it once, for example by model.layer_summary((1, 1, 96, 96))"
        )
    return sum(math.prod(p.shape) for p in params)


class SGD(HyperParameters):
    """Minibatch stochastic gradient descent on a list of arrays."""

    def __init__(self, params, lr):
        self.save_hyperparameters()

    def step(self, _):
        """Move each array against its gradient."""
        for param in self.params:
            param -= self.lr * param.grad


class _Drawn:
    """An initialiser whose weights follow a trainer's seed while one is in force."""

    def _init_weight(self, name, arr):
        rng = initializers.generator()
        if rng is None:
            super()._init_weight(name, arr)
        else:
            arr[:] = self.draw(arr.shape, rng)


class _Xavier(_Drawn, init.Xavier):
    draw = staticmethod(initializers.xavier_uniform)


class _He(_Drawn, init.Xavier):
    draw = staticmethod(initializers.he_normal)

    def __init__(self):
        super().__init__("gaussian", factor_type="in", magnitude=2)
