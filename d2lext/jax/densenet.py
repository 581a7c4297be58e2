"""Densely Connected Networks, from chapters/01-densenet.md.

Written by `python build.py export`: edit the chapter, not this file.
"""

from flax import linen as nn
from jax import numpy as jnp
from d2lext import jax as d2l


# Dense Blocks
def batch_norm(training):
    """Normalization that keeps 0.9 of the running statistics at each step."""
    return nn.BatchNorm(
        use_running_average=not training, momentum=0.9, epsilon=1e-5
    )


class ConvBlock(nn.Module):
    """Batch normalization, ReLU, 3x3 convolution: only new features."""

    num_channels: int
    training: bool = True

    @nn.compact
    def __call__(self, X):
        X = batch_norm(self.training)(X)
        X = nn.Conv(
            self.num_channels,
            kernel_size=(3, 3),
            padding=(1, 1),
            kernel_init=d2l.init_cnn,
        )(nn.relu(X))
        return X  # (n, h, w, c) -> (n, h, w, num_channels)


# Dense Blocks
class DenseBlock(nn.Module):
    """Convolution blocks, each of which reads the outputs of all before it."""

    num_convs: int
    num_channels: int
    training: bool = True

    @nn.compact
    def __call__(self, X):
        for _ in range(self.num_convs):
            Y = ConvBlock(self.num_channels, self.training)(X)
            X = jnp.concatenate((X, Y), axis=-1)  # (n, h, w, c + num_channels)
        return X


# Transition Layers
class TransitionBlock(nn.Module):
    """Pooling to half the size, a 1x1 convolution to fewer channels."""

    num_channels: int
    training: bool = True

    @nn.compact
    def __call__(self, X):
        X = batch_norm(self.training)(X)
        X = nn.avg_pool(nn.relu(X), window_shape=(2, 2), strides=(2, 2))
        X = nn.Conv(
            self.num_channels, kernel_size=(1, 1), kernel_init=d2l.init_cnn
        )(X)
        return X  # (n, h, w, c) -> (n, h / 2, w / 2, num_channels)


# The Whole Network
class DenseNet(d2l.Classifier):
    """Stem, dense blocks with transitions between them, head."""

    num_channels: int = 64
    growth_rate: int = 32
    arch: tuple = (4, 4, 4, 4)
    lr: float = 0.1
    num_classes: int = 10
    training: bool = True

    def setup(self):
        num_channels, layers = self.num_channels, self.stem()
        for i, num_convs in enumerate(self.arch, 1):
            layers.append(
                DenseBlock(num_convs, self.growth_rate, self.training)
            )
            num_channels += num_convs * self.growth_rate
            if i < len(self.arch):
                num_channels //= 2
                layers.append(TransitionBlock(num_channels, self.training))
        layers += self.head()
        self.net = nn.Sequential(layers)

    def stem(self):
        def max_pool(X):
            padding = ((1, 1), (1, 1))
            return nn.max_pool(X, (3, 3), strides=(2, 2), padding=padding)

        return [
            nn.Conv(
                self.num_channels,
                kernel_size=(7, 7),
                strides=(2, 2),
                padding=(3, 3),
                kernel_init=d2l.init_cnn,
            ),
            batch_norm(self.training),
            nn.relu,
            max_pool,
        ]

    def head(self):
        def global_avg_pool(X):
            return X.mean(axis=(1, 2))  # (n, h, w, c) -> (n, c)

        return [
            batch_norm(self.training),
            nn.relu,
            global_avg_pool,
            nn.Dense(self.num_classes, kernel_init=d2l.init_cnn),
        ]
