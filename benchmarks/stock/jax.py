"""d2l's DenseNet, data and training loop in JAX."""

from functools import partial
from typing import Any

import jax
import optax
from flax import linen as nn
from flax.training import train_state
from jax import numpy as jnp

from benchmarks.stock import tfdata

VERSIONS = ("jax", "flax", "optax", "tensorflow")


class ConvBlock(nn.Module):
    num_channels: int
    training: bool = True

    @nn.compact
    def __call__(self, X):
        Y = nn.relu(nn.BatchNorm(not self.training)(X))
        Y = nn.Conv(self.num_channels, kernel_size=(3, 3), padding=(1, 1))(Y)
        return jnp.concatenate((X, Y), axis=-1)


class DenseBlock(nn.Module):
    num_convs: int
    num_channels: int
    training: bool = True

    def setup(self):
        blocks = range(self.num_convs)
        self.net = nn.Sequential(
            [ConvBlock(self.num_channels, self.training) for _ in blocks]
        )

    def __call__(self, X):
        return self.net(X)


class TransitionBlock(nn.Module):
    num_channels: int
    training: bool = True

    @nn.compact
    def __call__(self, X):
        X = nn.relu(nn.BatchNorm(not self.training)(X))
        X = nn.Conv(self.num_channels, kernel_size=(1, 1))(X)
        return nn.avg_pool(X, window_shape=(2, 2), strides=(2, 2))


class DenseNet(nn.Module):
    num_channels: int = 64
    growth_rate: int = 32
    arch: tuple = (4, 4, 4, 4)
    lr: float = 0.01
    training: bool = True

    def setup(self):
        net = [
            nn.Conv(64, kernel_size=(7, 7), strides=(2, 2), padding="same"),
            nn.BatchNorm(not self.training),
            nn.relu,
            lambda X: nn.max_pool(X, (3, 3), strides=(2, 2), padding="same"),
        ]
        num_channels = self.num_channels
        for i, num_convs in enumerate(self.arch):
            net.append(DenseBlock(num_convs, self.growth_rate, self.training))
            # Repair: d2l restarts from self.num_channels at each transition, so its
            # network differs from the other frameworks' (700,586 parameters).
            num_channels += num_convs * self.growth_rate
            if i != len(self.arch) - 1:
                num_channels //= 2
                net.append(TransitionBlock(num_channels, self.training))
        net += [
            nn.BatchNorm(not self.training),
            nn.relu,
            lambda X: nn.avg_pool(X, X.shape[1:3], X.shape[1:3], padding="valid"),
            lambda X: X.reshape((X.shape[0], -1)),
            nn.Dense(10),
        ]
        self.net = nn.Sequential(net)

    def __call__(self, X):
        return self.net(X)

    @partial(jax.jit, static_argnums=(0,))
    def loss(self, params, X, Y, state):
        Y_hat, updates = state.apply_fn(
            {"params": params, "batch_stats": state.batch_stats},
            *X,
            mutable=["batch_stats"],
            rngs={"dropout": state.dropout_rng},
        )
        fn = optax.softmax_cross_entropy_with_integer_labels
        return fn(Y_hat, Y).mean(), updates

    def training_step(self, params, batch, state):
        grad = jax.value_and_grad(self.loss, has_aux=True)
        value, grads = grad(params, batch[:-1], batch[-1], state)
        jax.device_put(value[0], jax.devices("cpu")[0])  # for the plot
        return value, grads


class TrainState(train_state.TrainState):
    batch_stats: Any
    dropout_rng: jax.Array  # Repair: jax.random.PRNGKeyArray is gone.


class Trainer:
    def __init__(self, model, data, batch_size):
        self.model, self.data, self.batch_size = model, data, batch_size
        self.optim = optax.sgd(model.lr)
        self.state = None

    def batches(self):
        # Repair: instead of as_numpy from tensorflow_datasets, which does the same.
        return self.data.as_numpy_iterator()

    def step(self, batch):
        if self.state is None:
            self.init_state(batch)
        (_, mutated), grads = self.model.training_step(
            self.state.params, batch, self.state
        )
        # Not compiled: each of these runs one operation per parameter.
        self.state = self.state.apply_gradients(grads=grads)
        self.state = self.state.replace(
            dropout_rng=jax.random.split(self.state.dropout_rng)[0]
        )
        self.state = self.state.replace(batch_stats=mutated["batch_stats"])

    def init_state(self, batch):
        params_key, dropout_key = jax.random.split(jax.random.PRNGKey(0))
        key = {"params": params_key, "dropout": dropout_key}
        variables = self.model.init(key, *batch[:-1])
        self.state = TrainState.create(
            apply_fn=self.model.apply,
            params=variables["params"],
            batch_stats=variables["batch_stats"],
            dropout_rng=dropout_key,
            tx=self.optim,
        )

    def wait(self):
        jax.block_until_ready(self.state)


def start(images, labels, batch_size=128, resize=(96, 96)):
    data = tfdata.batches(images, labels, batch_size, resize)
    return Trainer(DenseNet(), data, batch_size)


def num_params(trainer):
    return sum(p.size for p in jax.tree.leaves(trainer.state.params))
