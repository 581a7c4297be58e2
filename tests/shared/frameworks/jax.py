"""What tests need of JAX."""

from d2lext import jax as d2l  # first, for its errors

# isort: split
import random
from functools import partial
from types import SimpleNamespace

import jax
import numpy as np
import optax
from flax import linen as nn
from jax import numpy as jnp


class Linear(d2l.Classifier):
    """One dense layer behind dropout."""

    lr: float = 0.1
    dropout: float = 0.0
    training: bool = True

    def setup(self):
        self.net = nn.Sequential([
            lambda X: X.reshape(len(X), -1),
            nn.Dropout(self.dropout, deterministic=not self.training),
            nn.Dense(10),
        ])  # fmt: skip


class NoParameters(d2l.Classifier):
    """The sums of ten parts of an image."""

    lr: float = 0.1

    def setup(self):
        self.net = nn.Sequential([lambda X: X[:, :10].sum((2, 3))])


class Regression(d2l.Module):
    """A number from two inputs, by squared error and Adam."""

    @nn.compact
    def __call__(self, A, B):
        return nn.Dense(1)(jnp.concatenate((A, B), axis=1))

    def loss(self, params, X, y, state):
        y_hat = state.apply_fn({"params": params}, *X)
        return ((y_hat.squeeze(1) - y) ** 2).mean()

    def configure_optimizers(self):
        return adam(self)


def adam(model, lr=0.1):
    """The framework's own Adam for a model."""
    return optax.adam(lr)


def schedule(before, after, step):
    """A learning rate that is `after` from a `step` on."""
    schedules = [optax.constant_schedule(lr) for lr in (before, after)]
    return optax.join_schedules(schedules, [step])


def seed(number):
    """Seed Python's random numbers: `get_key` makes keys of them."""
    random.seed(number)


def drawn():
    """What the framework draws next from its common random numbers."""
    return float(d2l.rand())


def first_output(block, X):
    """What a new block makes of its first input."""
    init = jax.jit(block.init_with_output)
    return init(jax.random.key(0), X)[0]


def forward(model, X, training=False):
    """The output of a built model."""
    apply = model.apply if training else model.evaluating().apply
    apply = partial(apply, mutable=["batch_stats"])  # in vain: variables stay
    return jax.jit(apply)(model.variables, X)[0]


def layers(model):
    """The layers of `net` of a built model, in evaluation mode."""
    return model.evaluating().bind(model.variables).net.layers


def norms(model):
    """(epsilon, share that stays of a statistic) of each batch normalization."""
    found = {}

    def note(next_fun, args, kwargs, context):
        if isinstance(context.module, nn.BatchNorm):
            found[context.module.path] = context.module
        return next_fun(*args, **kwargs)

    for training in (True, False):
        found.clear()
        size = (model.min_image_size,) * 2
        with nn.intercept_methods(note):
            init = model.clone(training=training).init
            jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, *size, 1)))
        assert all(n.use_running_average is not training for n in found.values())
    return [(norm.epsilon, norm.momentum) for norm in found.values()]


def weights(model):
    """Copies of a built model's trainable parameters."""
    return [np.array(leaf) for leaf in jax.tree.leaves(model.variables["params"])]


def statistics(model):
    """Copies of the statistics of a built model's normalization."""
    leaves = jax.tree.leaves(model.variables.get("batch_stats", {}))
    return [np.array(leaf) for leaf in leaves]


def gradient(function, x):
    """The gradient, by the array x, of the sum of `function(x)`."""
    return np.asarray(jax.grad(lambda x: function(x).sum())(d2l.tensor(x)))


def state_of(model):
    """What a trainer hands to a model's loss beside the parameters."""
    return SimpleNamespace(
        apply_fn=model.apply,
        batch_stats=model.variables.get("batch_stats", {}),
        dropout_rng=jax.random.key(0),
    )


class _Identity(d2l.Classifier):
    """A classifier whose inputs are the logits."""

    def __call__(self, X):
        return X


def loss(Y_hat, y, **options):
    """A classifier's loss of logits."""
    return _of_logits("loss", Y_hat, y, options)[0]


def accuracy(Y_hat, y, **options):
    """A classifier's accuracy of logits."""
    return _of_logits("accuracy", Y_hat, y, options)


def _of_logits(method, Y_hat, y, options):
    model = _Identity()
    model.variables = {"params": {}}
    return getattr(model, method)({}, (Y_hat,), y, state_of(model), **options)


def out_of_memory():
    """The exception that the framework raises where memory is exhausted."""
    return jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while ...")


def default_conv(X, c_out, window, strides=1, **padding):
    """A convolution with the framework's defaults: its weights and its output for X."""
    conv = nn.Conv(c_out, (window, window), strides, **padding)
    Y, variables = conv.init_with_output(jax.random.key(0), X)
    return np.asarray(variables["params"]["kernel"]), np.asarray(Y)
