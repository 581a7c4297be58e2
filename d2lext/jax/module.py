"""Models in JAX: the base classes that a chapter's networks extend."""

import functools
import random
from dataclasses import field, fields
from numbers import Number

import jax
import optax
from flax import linen as nn
from jax import numpy as jnp

from d2lext.core import images
from d2lext.core import module as core
from d2lext.core.checks import check_mean
from d2lext.core.densenet import initializers
from d2lext.core.hyperparameters import LATER, plain
from d2lext.core.plotting import ProgressBoard

__all__ = ["Module", "Classifier", "init_cnn", "init_he", "num_params", "get_key"]

_COMPILE_QUICKLY = {"xla_backend_optimization_level": 0}


class Module(core.Module, nn.Module):
    """Base of models: a network `net`, a loss and an optimiser.

    A Flax module is defined by its fields; modules with equal fields are equal. What
    training changes is kept apart, in `variables`. `model.clone(lr=0.01)` takes these
    along, `dataclasses.replace` does not; set them to None to draw new ones.
    """

    plot_train_per_epoch = 5
    plot_valid_per_epoch = 1
    # With init=False, Flax excludes a field from equality and hash.
    board: ProgressBoard = field(default_factory=ProgressBoard, init=False)
    _variables = None

    def __post_init__(self):
        # As `save_hyperparameters` does elsewhere. Fields are hashed: no list either.
        for name in (f.name for f in fields(self) if f.init):
            value = getattr(self, name)
            if isinstance(value, list) and all(isinstance(v, Number) for v in value):
                value = tuple(value)
            object.__setattr__(self, name, plain(value))
        self.check_hyperparameters()
        super().__post_init__()

    @property
    def variables(self):
        """Parameters and statistics, a dict of collections; None before they exist.

        `apply_init`, `layer_summary` and `Trainer.fit` set them. Training changes the
        collections params and batch_stats. Within `init` and `apply`, as in any Flax
        module, they are those being applied.
        """
        return self._variables if self.scope is None else super().variables

    @variables.setter
    def variables(self, variables):
        self._variables = variables

    @nn.nowrap  # Flax takes the module whose method runs for the parent of a copy
    def clone(self, **updates):
        """A copy with other fields, and the same `variables`."""
        module = super().clone(**updates)
        for name in vars(self).keys() & {"_variables", *LATER}:
            if name not in self.__dataclass_fields__:
                object.__setattr__(module, name, vars(self)[name])
        return module

    def loss(self, params, X, y, state):
        """The mean loss of predictions for the inputs X, a tuple, against labels y."""
        raise NotImplementedError(
            f"{type(self).__name__} must define loss(params, X, y, state)"
        )

    def forward(self, X, *args, **kwargs):
        """The network's output for X."""
        images.check(self, X.shape, in_channels, channels_last=True)
        return self.net(X, *args, **kwargs)

    def __call__(self, X, *args, **kwargs):
        return self.forward(X, *args, **kwargs)

    def evaluating(self):
        """A copy for evaluation: no dropout, BatchNorm with its moving statistics.

        `model.evaluating().apply(model.variables, X)` predicts.
        """
        return self.clone(training=False) if hasattr(self, "training") else self

    def training_step(self, params, batch, state):
        """The mean loss of a minibatch and its gradients."""
        grad = _value_and_grad(self)
        l, grads = grad(params, batch[:-1], batch[-1], state)
        self.plot("loss", l, train=True)
        return l, grads

    def validation_step(self, params, batch, state):
        """Log the loss of a minibatch."""
        l = self.loss(params, batch[:-1], batch[-1], state)
        self.plot("loss", l, train=False)

    def configure_optimizers(self):
        lr, momentum, weight_decay = self.sgd_options(schedules=True)
        nesterov, decay_all = self.sgd_flags()
        return optax.chain(
            optax.add_decayed_weights(weight_decay, None if decay_all else _matrices),
            optax.sgd(lr, momentum or None, nesterov),
        )

    def apply_init(self, dummy_input, key):
        """Build layers for inputs like the tuple `dummy_input`; return `variables`."""
        # Compiled, it computes no layer's output: the weights depend on shapes alone.
        # It runs once, so optimising it would waste time.
        # A new function, so that JAX traces it: weights may depend on a trainer's seed.
        init = jax.jit(
            lambda key, *X: self.init(key, *X), compiler_options=_COMPILE_QUICKLY
        )
        self.variables = init(key, *dummy_input)
        return self.variables


class Classifier(Module):
    """Base of classifiers: cross-entropy loss and accuracy."""

    def training_step(self, params, batch, state):
        """The mean loss of a minibatch, BatchNorm's statistics, and the gradients."""
        grad = _value_and_grad(self, has_aux=True)
        (l, updates), grads = grad(params, batch[:-1], batch[-1], state)
        self.plot("loss", l, train=True)
        return (l, updates), grads

    def validation_step(self, params, batch, state):
        """Log the loss and the accuracy of a minibatch."""
        # Compiled together, the two forward passes become one.
        l, _ = self.loss(params, batch[:-1], batch[-1], state)
        acc = self.accuracy(params, batch[:-1], batch[-1], state)
        self.plot("loss", l, train=False)
        self.plot("acc", acc, train=False)

    def accuracy(self, params, X, Y, state, averaged=True):
        """The share of correct predictions; if not `averaged`, 0 or 1 for each."""
        variables = {"params": params, "batch_stats": state.batch_stats}
        Y_hat = state.apply_fn(variables, *X)
        if core.check_labels(Y_hat.shape, Y.shape, _are_floats(Y)):
            Y = Y.argmax(axis=-1)
        Y_hat = Y_hat.reshape(-1, Y_hat.shape[-1])
        compare = (Y_hat.argmax(axis=1) == Y.reshape(-1)).astype(jnp.float32)
        return compare.mean() if averaged else compare

    def loss(self, params, X, Y, state, averaged=True):
        """The cross-entropy of labels Y (n,), and BatchNorm's updated statistics.

        Y may also be rows of probabilities (n, classes), floats. In training labels are
        smoothed by `label_smoothing`, if the model has it: unless `state.training` is
        False. The loss is NaN if a label is not one of the classes.
        """
        Y_hat, updates = state.apply_fn(
            {"params": params, "batch_stats": state.batch_stats},
            *X,
            mutable=["batch_stats"],
            rngs={"dropout": state.dropout_rng},
        )
        are_rows = core.check_labels(Y_hat.shape, Y.shape, _are_floats(Y))
        smoothing = self.smoothing() if getattr(state, "training", True) else 0
        Y_hat = Y_hat.reshape(-1, Y_hat.shape[-1])
        Y = Y.reshape(Y_hat.shape if are_rows else -1)
        l = _cross_entropy(Y_hat, Y, smoothing)
        return (l.mean() if averaged else l), updates

    def layer_summary(self, X_shape, key=None):
        """Print the output shape of each layer of `net` for an input of `X_shape`."""
        images.check(self, X_shape, in_channels, channels_last=True)
        X = jnp.zeros(X_shape, jnp.float32)
        if self.variables is None:
            self.apply_init((X,), get_key() if key is None else key)

        def print_shapes(variables, X):
            # Mutable, in case a BatchNorm is not told to evaluate. It changes a copy,
            # not `variables` themselves.
            model = self.evaluating().bind(variables, mutable=["batch_stats"])
            for layer in model.net.layers:
                X = layer(X)
                # Layers without weights may be plain functions.
                name = getattr(layer, "__name__", type(layer).__name__)
                print(f"{name:<23} {tuple(X.shape)}")

        jax.eval_shape(print_shapes, self.variables, X)  # shapes, no arithmetic


def init_cnn(key, shape, dtype=jnp.float32):
    """Xavier-uniform weights, as a layer's kernel_init; Flax's biases start at zero.

    `shape` is (h, w, in, out) or (in, out). While a trainer builds a model, its seed
    determines the weights, equal in every framework.
    """
    otherwise = nn.initializers.xavier_uniform()
    return _init(initializers.xavier_uniform, otherwise, key, shape, dtype)


def init_he(key, shape, dtype=jnp.float32):
    """Like `init_cnn`, but with He's normal distribution, for convolutions."""
    otherwise = nn.initializers.variance_scaling(2, "fan_in", "normal")
    return _init(initializers.he_normal, otherwise, key, shape, dtype)


def num_params(model):
    """The number of trainable parameters of a built model."""
    if model.variables is None:
        raise ValueError(
            f"{type(model).__name__} has no parameters before its first input: build "
            "it with model.layer_summary(X_shape) or model.apply_init((X,), key)"
        )
    return sum(p.size for p in jax.tree.leaves(model.variables["params"]))


def in_channels(model):
    """The channels of a network's first convolution; None before its first input."""
    params = (model.variables or {}).get("params", {})
    kernel = params.get("net", {}).get("layers_0", {}).get("kernel")
    return kernel.shape[-2] if kernel is not None and kernel.ndim == 4 else None


def get_key():
    """A new key for `jax.random`, from Python's random numbers."""
    return jax.random.key(random.randrange(2**32))


def _are_floats(Y):
    return jnp.issubdtype(Y.dtype, jnp.floating)


def _matrices(params):
    """Which parameters are weights of convolutions and linear layers, for optax."""
    return jax.tree.map(lambda param: param.ndim > 1, params)


def _cross_entropy(Y_hat, Y, smoothing):
    """The loss of each row of logits, by labels or rows of probabilities."""
    if Y.ndim > 1:
        rows = optax.smooth_labels(Y, smoothing)
        return optax.softmax_cross_entropy(Y_hat, rows)
    labels = Y.astype(jnp.int32).clip(0, Y_hat.shape[-1] - 1)
    if smoothing:
        rows = jax.nn.one_hot(labels, Y_hat.shape[-1])
        l = _cross_entropy(Y_hat, rows, smoothing)
    else:
        l = optax.softmax_cross_entropy_with_integer_labels(Y_hat, labels)
    return jnp.where(labels == Y, l, jnp.nan)


def _value_and_grad(model, has_aux=False):
    """JAX's `value_and_grad` of a model's loss, which must be one number."""

    @functools.wraps(model.loss)
    def checked(params, X, y, state):
        outputs = []

        def apply(*args, **kwargs):
            found = state.apply_fn(*args, **kwargs)
            outputs.append(found[0] if kwargs.get("mutable") else found)
            return found

        found = model.loss(params, X, y, state.replace(apply_fn=apply))
        for Y_hat in outputs[:1]:
            model.trainer.pairs.check(
                lambda y: model.loss(params, X, y, state), Y_hat, y
            )
        check_mean(loss=found[0] if isinstance(found, tuple) else found)
        return found

    return jax.value_and_grad(checked, has_aux=has_aux)


def _init(draw, otherwise, key, shape, dtype):
    weights = initializers.draw_hwio(draw, shape)
    if weights is None:
        return otherwise(key, shape, dtype)
    return jnp.asarray(weights, dtype)
