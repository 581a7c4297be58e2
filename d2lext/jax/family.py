"""The DenseNet Family, from chapters/02-family.md.

Written by `python build.py export`: edit the chapter, not this file.
"""

import jax
from flax import linen as nn
from jax import numpy as jnp
from d2lext import jax as d2l
from d2lext.jax.densenet import batch_norm


# One Layer of the Family
class NormReluConv(nn.Module):
    """Batch normalization, ReLU, convolution, and dropout if asked for."""

    num_channels: int
    kernel_size: int
    dropout: float = 0
    bias: bool = False
    training: bool = True

    @nn.compact
    def __call__(self, X):
        X = batch_norm(self.training)(X)
        X = nn.Conv(
            self.num_channels,
            kernel_size=(self.kernel_size, self.kernel_size),
            padding=self.kernel_size // 2,
            use_bias=self.bias,
            kernel_init=d2l.init_he,
        )(nn.relu(X))
        return nn.Dropout(self.dropout, deterministic=not self.training)(X)


# One Layer of the Family
class ConvBlockBC(nn.Module):
    """The new features only, behind a bottleneck if there is one."""

    num_channels: int
    bottleneck_size: int | None = 4
    dropout: float = 0
    bias: bool = False
    training: bool = True

    @nn.compact
    def __call__(self, *features):
        X = jnp.concatenate(features, axis=-1)
        options = (self.dropout, self.bias, self.training)
        if self.bottleneck_size:
            width = self.bottleneck_size * self.num_channels
            X = NormReluConv(width, 1, *options)(X)
        return NormReluConv(self.num_channels, 3, *options)(X)


# A List of Features
class DenseBlockBC(nn.Module):
    """Convolution blocks, each of which sees the output of all before it."""

    num_convs: int
    num_channels: int
    bottleneck_size: int | None = 4
    dropout: float = 0
    bias: bool = False
    memory_efficient: bool = False
    training: bool = True

    def setup(self):
        self.blocks = [
            ConvBlockBC(
                self.num_channels,
                self.bottleneck_size,
                self.dropout,
                self.bias,
                self.training,
            )
            for _ in range(self.num_convs)
        ]

    def __call__(self, X):
        features = [X]
        for block in self.blocks:
            if self.memory_efficient:
                # Backward, XLA then adds up gradients here, and no later.
                features = jax.lax.optimization_barrier(features)
                Y = d2l.recompute(block, *features)
            else:
                Y = block(*features)
            features.append(Y)  # (n, h, w, num_channels)
        return jnp.concatenate(features, axis=-1)


# Transitions That Compress
class TransitionBlockBC(nn.Module):
    """Pooling for half the size, a 1x1 convolution to `num_channels`."""

    num_channels: int
    dropout: float = 0
    bias: bool = False
    training: bool = True

    @nn.compact
    def __call__(self, X):
        X = batch_norm(self.training)(X)
        X = nn.avg_pool(nn.relu(X), window_shape=(2, 2), strides=(2, 2))
        X = nn.Conv(
            self.num_channels,
            kernel_size=(1, 1),
            use_bias=self.bias,
            kernel_init=d2l.init_he,
        )(X)
        return nn.Dropout(self.dropout, deterministic=not self.training)(X)


# The Network
class DenseNetBC(d2l.Classifier):
    """Any network of the paper, with bottlenecks, compression, or both."""

    arch: tuple = (6, 12, 24, 16)
    growth_rate: int = 32
    num_channels: int = 64
    bottleneck_size: int | None = 4
    compression: float = 0.5
    dropout: float = 0
    small_images: bool = False
    bias: bool = False
    memory_efficient: bool = False
    lr: float = 0.1
    momentum: float = 0
    weight_decay: float = 0
    num_classes: int = 1000
    training: bool = True

    def setup(self):
        num_channels, net = self.num_channels, self.stem()
        for i, num_convs in enumerate(self.arch, 1):
            net.append(
                DenseBlockBC(
                    num_convs,
                    self.growth_rate,
                    self.bottleneck_size,
                    self.dropout,
                    self.bias,
                    self.memory_efficient,
                    self.training,
                )
            )
            num_channels += num_convs * self.growth_rate
            if i < len(self.arch):
                num_channels = int(num_channels * self.compression)
                net.append(
                    TransitionBlockBC(
                        num_channels, self.dropout, self.bias, self.training
                    )
                )
        net += self.head()
        self.net = nn.Sequential(net)

    def stem(self):
        def conv(size, stride):
            return nn.Conv(
                self.num_channels,
                kernel_size=(size, size),
                strides=(stride, stride),
                padding=size // 2,
                use_bias=self.bias,
                kernel_init=d2l.init_he,
            )

        def max_pool(X):
            padding = ((1, 1), (1, 1))
            return nn.max_pool(X, (3, 3), strides=(2, 2), padding=padding)

        if self.small_images:
            return [conv(size=3, stride=1)]
        norm = batch_norm(self.training)
        return [conv(size=7, stride=2), norm, nn.relu, max_pool]

    def head(self):
        def global_avg_pool(X):
            return X.mean(axis=(1, 2))  # (n, h, w, c) -> (n, c)

        return [
            batch_norm(self.training),
            nn.relu,
            global_avg_pool,
            nn.Dense(self.num_classes, kernel_init=d2l.init_cnn),
        ]
