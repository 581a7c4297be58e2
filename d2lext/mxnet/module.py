"""Models in MXNet: the base classes that a chapter's networks extend."""

import math
import warnings

import numpy
from mxnet import autograd, gluon, init, np, npx, sym
from mxnet.gluon import nn
from mxnet.gluon.utils import shape_is_known

from d2lext.core import images
from d2lext.core import module as core
from d2lext.core.densenet import initializers
from d2lext.core.densenet.weights import not_built
from d2lext.core.hyperparameters import HyperParameters
from d2lext.core.training.held import held
from d2lext.mxnet.descent import Descent
from d2lext.mxnet.speed import graphs

__all__ = ["Module", "Classifier", "init_cnn", "init_he", "num_params", "SGD"]


class Module(core.Module, nn.Block):
    """Base of models: a network `net`, a loss and an optimiser.

    It is a Block, whose `forward` may be any Python. What Gluon offers for HybridBlocks
    alone works as well if `forward` calls nothing else: `hybridize`, `export`. Hooks on
    operations see those of compiled blocks: not dense blocks with `memory_efficient`.
    `save_parameters` writes the weights; `collect_params().save` takes no NumPy arrays.
    """

    def __getstate__(self):
        # Compiled graphs cannot be copied: the next forward pass makes them again, and
        # the symbols of which they are made. Parameters know the trainer's optimiser.
        self.apply(lambda b: isinstance(b, nn.HybridBlock) and b._clear_cached_op())
        for param in self.collect_params().values():
            param._var = None
            param._set_trainer(None)
        trained = [n for n, a in held_arrays(self).items() if a.grad is not None]
        return {**super().__getstate__(), "_trained": trained}

    def __setstate__(self, state):
        vars(self).update(state)
        # A copied array has no gradient any more.
        for param in self.collect_params().values():
            if param._grad is not None:
                param._init_grad()
        arrays = held_arrays(self)
        for name in vars(self).pop("_trained"):
            arrays[name].attach_grad()
        graphs.compile_faster_again(self)

    def forward(self, X):
        """The network's output for X."""
        if isinstance(X, np.ndarray):  # not while it is exported
            images.check(self, X.shape, in_channels)
            X = _converted(self, X)
        return self.net(X)

    def plot(self, key, value, train):
        """Hand a scalar of this batch to the trainer, which averages and draws it."""
        self.trainer.log(key, value.detach(), train)

    def configure_optimizers(self):
        lr, momentum, weight_decay = self.sgd_options()
        nesterov, decay_all = self.sgd_flags()
        params = self.parameters()
        if isinstance(params, list):
            return SGD(params, lr)
        settings = {"learning_rate": lr, "momentum": momentum, "wd": weight_decay}
        optimizer = "sgd"
        if nesterov or not decay_all or self.is_scheduled():
            optimizer = Descent(nesterov=nesterov, decay_all=decay_all, **settings)
            settings = None
        # With one device there are no gradients to share, so we need no kvstore.
        return gluon.Trainer(params, optimizer, settings, kvstore=None)

    def apply_init(self, inputs, init=None):
        """Apply `init`, then draw the weights by a forward pass of `inputs`."""
        if init is not None:
            self.net.apply(init)
        self.forward(*inputs)

    def parameters(self):
        """The layers' parameters by name; without layers, a list of bare arrays."""
        params = self.collect_params()
        return params if len(params.keys()) else self.get_scratch_params()

    def hybridize(self, active=True, **options):
        """Compile the HybridBlocks within, with Gluon's options."""
        with warnings.catch_warnings():
            # MXNet recommends HybridSequential even when compilation is off.
            warnings.filterwarnings("ignore", message="All children of this Sequential")
            super().hybridize(active, **options)

    def export(self, path, epoch=0):
        """Write the network to the files `path`-symbol.json and `path`-0000.params.

        They are those of a HybridBlock, in float32, whether or not this model is compiled:
        `gluon.SymbolBlock.imports` loads them without d2lext; its input is "data". `epoch`
        is the number in the name. Raises TypeError if `forward` computes anything outside
        of HybridBlocks.
        """
        params = self.collect_params()
        if not params or not all(shape_is_known(p.shape) for p in params.values()):
            raise not_built(self)
        try:
            graph = self(sym.var("data").as_np_ndarray())
        except Exception as error:  # depends on what forward does with a symbol
            raise TypeError(
                "to be exported, a forward must compute within HybridBlocks alone, got "
                f"that of {type(self).__name__} ({error}): move the rest into a HybridBlock"
            ) from error
        statistics = set(graph.list_auxiliary_states())
        arrays = {
            f"{'aux' if name in statistics else 'arg'}:{name}": params[name].data()
            for name in graph.list_inputs()
            if name in params
        }
        graph.save(f"{path}-symbol.json")
        npx.save(f"{path}-{epoch:04d}.params", arrays)

    def summary(self, *inputs):
        """Print Gluon's table of layers, shapes and parameters, compiled or not."""
        active = []

        def stop(block):
            if isinstance(block, gluon.HybridBlock):
                active.append((block, block._active))
                block._active = False

        self.apply(stop)
        try:
            super().summary(*inputs)
        finally:
            for block, was_active in active:
                block._active = was_active

    def cast(self, dtype):
        """Nothing for float32; any other type raises TypeError."""
        if numpy.dtype(dtype) != numpy.float32:
            raise TypeError(
                f"{type(self).__name__} must stay float32, got {dtype}: train it with "
                "Trainer(precision='bf16'), or export it and cast what "
                "gluon.SymbolBlock.imports loads"
            )

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


class Classifier(core.Classifier, Module):
    """Base of classifiers: cross-entropy loss and accuracy."""

    def accuracy(self, Y_hat, Y, averaged=True):
        """The share of correct predictions; if not `averaged`, 0 or 1 for each."""
        if core.check_labels(Y_hat.shape, Y.shape, _are_floats(Y)):
            Y = Y.argmax(axis=-1)
        Y_hat = Y_hat.reshape(-1, Y_hat.shape[-1])
        preds = Y_hat.argmax(axis=1)
        compare = (preds == Y.reshape(-1).astype(preds.dtype)).astype(np.float32)
        return compare.mean() if averaged else compare

    def loss(self, Y_hat, Y, averaged=True):
        """The cross-entropy of logits Y_hat (n, classes) and labels Y (n,).

        Y may also be rows of probabilities (n, classes), floats. In training labels are
        smoothed by `label_smoothing`, if the model has it. The loss is NaN if a label is
        not one of the classes.
        """
        are_rows = core.check_labels(Y_hat.shape, Y.shape, _are_floats(Y))
        Y_hat = Y_hat.reshape(-1, Y_hat.shape[-1])
        Y = Y.reshape(Y_hat.shape if are_rows else -1)
        l = _cross_entropy(Y_hat, Y, self.smoothing() if autograd.is_training() else 0)
        return l.mean() if averaged else l

    def layer_summary(self, X_shape):
        """Print the output shape of each layer of `net` for an input of `X_shape`."""
        images.check(self, X_shape, in_channels)
        X = np.random.randn(*X_shape)
        for layer in self.net:
            X = layer(X)
            print(f"{type(layer).__name__:<23} {tuple(X.shape)}")


def init_cnn(block):
    """Xavier-uniform weights, zero biases; normalization starts as the identity.

    Use it as `net.apply(init_cnn)`. A layer that does not know its input yet draws its
    weights in its first forward pass. While a trainer builds a model, its seed determines
    the weights, equal in every framework.
    """
    block.params.initialize(_Xavier(), force_reinit=True)


def init_he(block):
    """Like `init_cnn`, but with He's normal distribution for convolutions."""
    is_conv = isinstance(block, nn.Conv2D)
    block.params.initialize(_He() if is_conv else _Xavier(), force_reinit=True)


def held_arrays(model, *others):
    """Arrays that a model's blocks, or `others`, hold by themselves, not as parameters.

    Each has the name of its first place: the number of the block, then the attribute.
    """
    return held(numbered(model, *others), np.ndarray)


def numbered(model, *others):
    """(number, object) of a model's blocks, and of `others`."""
    owners = []
    model.apply(owners.append)
    return [(str(i), owner) for i, owner in enumerate([*owners, *others])]


def num_params(model):
    """The number of trainable parameters of a built model."""
    params = [p for p in model.collect_params().values() if p.grad_req != "null"]
    if not all(shape_is_known(p.shape) for p in params):
        raise ValueError(
            f"{type(model).__name__} has no parameters before its first input: call "
            "it once, for example by model.layer_summary((1, 1, 96, 96))"
        )
    return sum(math.prod(p.shape) for p in params)


def in_channels(model):
    """The channels of a network's first convolution; None before its first input."""
    first = _first_convolution(model)
    if first is None or not shape_is_known(first.weight.shape):
        return None
    return first.weight.shape[1] * first._kwargs["num_group"]


def _first_convolution(model):
    net = getattr(model, "net", None)
    is_sequence = isinstance(net, (nn.Sequential, nn.HybridSequential))
    first = next(iter(net), None) if is_sequence else None
    return first if isinstance(first, nn.Conv2D) else None


def _converted(model, X):
    """Images in the type of the first convolution's weights; other inputs stay."""
    first = _first_convolution(model)
    is_same = first is None or X.dtype == first.weight.dtype
    return X if is_same else X.astype(first.weight.dtype)


def _are_floats(Y):
    return numpy.dtype(Y.dtype).kind == "f"


def _cross_entropy(Y_hat, Y, smoothing):
    """The loss of each row of logits, by labels or rows of probabilities."""
    classes = Y_hat.shape[-1]
    if Y.ndim > 1:
        rows = Y.astype(Y_hat.dtype) * (1 - smoothing) + smoothing / classes
        return gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=False)(Y_hat, rows)
    labels = Y.astype(np.int32).clip(0, classes - 1)
    if smoothing:
        l = _cross_entropy(Y_hat, npx.one_hot(labels, classes), smoothing)
    else:
        l = gluon.loss.SoftmaxCrossEntropyLoss()(Y_hat, labels)
    # An array of NaN: next to a number, the gradient of `where` is that of its inverse.
    return np.where(labels.astype(Y.dtype) == Y, l, np.full_like(l, np.nan))


class SGD(HyperParameters):
    """Minibatch stochastic gradient descent on a list of arrays."""

    def __init__(self, params, lr):
        self.save_hyperparameters()

    def step(self, _):
        """Move each array against its gradient."""
        for param in self.params:
            param -= self.lr * param.grad


class _Drawn:
    """An initialiser that uses a trainer's seed while one is active."""

    def _init_weight(self, name, arr):
        weights = initializers.draw_oihw(self.draw, arr.shape)
        if weights is None:
            super()._init_weight(name, arr)
        else:
            arr[:] = weights


class _Xavier(_Drawn, init.Xavier):
    draw = staticmethod(initializers.xavier_uniform)


class _He(_Drawn, init.Xavier):
    draw = staticmethod(initializers.he_normal)

    def __init__(self):
        super().__init__("gaussian", factor_type="in", magnitude=2)
