"""The networks of d2l's convolutional chapters in JAX, with fewer channels.

They are written as a notebook writes them, against Flax and d2l alone.
"""

from functools import partial

from flax import linen as nn
from jax import numpy as jnp

from d2lext import jax as d2l


def flatten(X):
    """(n, h, w, c) -> (n, h * w * c)."""
    return d2l.reshape(X, (X.shape[0], -1))


def global_avg_pool(X):
    """(n, h, w, c) -> (n, c)."""
    X = nn.avg_pool(X, window_shape=X.shape[1:3], strides=X.shape[1:3])
    return flatten(X)


def max_pool(size, stride, padding=0):
    """A layer: the largest values of square windows."""
    return lambda X: nn.max_pool(
        X, (size, size), strides=(stride, stride), padding=((padding, padding),) * 2
    )


# Without batch normalization a deep network learns in a few steps only if its signals
# neither vanish nor stop at ReLUs (He et al., 2015, section 2.2).
he_init = d2l.init_he
Conv = partial(nn.Conv, kernel_init=he_init)


class AlexNet(d2l.Classifier):
    """d2l, section 8.1."""

    lr: float = 0.1
    num_classes: int = 10
    training: bool = True

    def setup(self):
        self.net = nn.Sequential([
            Conv(12, kernel_size=(11, 11), strides=4, padding=1), nn.relu,
            max_pool(3, 2),
            Conv(32, kernel_size=(5, 5)), nn.relu,
            max_pool(3, 2),
            Conv(48, kernel_size=(3, 3)), nn.relu,
            Conv(48, kernel_size=(3, 3)), nn.relu,
            Conv(32, kernel_size=(3, 3)), nn.relu,
            max_pool(3, 2),
            flatten,
            nn.Dense(128, kernel_init=he_init), nn.relu,
            nn.Dropout(0.5, deterministic=not self.training),
            nn.Dense(128, kernel_init=he_init), nn.relu,
            nn.Dropout(0.5, deterministic=not self.training),
            nn.Dense(self.num_classes),
        ])  # fmt: skip


def vgg_block(num_convs, num_channels):
    """3x3 convolutions, then half the height and width."""
    layers = []
    for _ in range(num_convs):
        layers += [Conv(num_channels, kernel_size=(3, 3), padding=(1, 1)), nn.relu]
    return nn.Sequential([*layers, max_pool(2, 2)])


class VGG(d2l.Classifier):
    """d2l, section 8.2: VGG-11."""

    arch: tuple
    lr: float = 0.1
    num_classes: int = 10
    training: bool = True

    def setup(self):
        self.net = nn.Sequential([
            *(vgg_block(*block) for block in self.arch),
            flatten,
            nn.Dense(64, kernel_init=he_init), nn.relu,
            nn.Dropout(0.5, deterministic=not self.training),
            nn.Dense(64, kernel_init=he_init), nn.relu,
            nn.Dropout(0.5, deterministic=not self.training),
            nn.Dense(self.num_classes),
        ])  # fmt: skip


def nin_block(num_channels, kernel_size, strides, padding):
    """A convolution, then a small network of two layers in each pixel."""
    # Positive biases keep the ReLUs of the last block's few channels alive.
    conv = partial(Conv, bias_init=nn.initializers.constant(0.5))
    return nn.Sequential([
        conv(num_channels, kernel_size, strides, padding), nn.relu,
        conv(num_channels, kernel_size=(1, 1)), nn.relu,
        conv(num_channels, kernel_size=(1, 1)), nn.relu,
    ])  # fmt: skip


class NiN(d2l.Classifier):
    """d2l, section 8.3."""

    lr: float = 0.1
    num_classes: int = 10
    training: bool = True

    def setup(self):
        self.net = nn.Sequential([
            nin_block(24, (11, 11), strides=(4, 4), padding=(0, 0)),
            max_pool(3, 2),
            nin_block(48, (5, 5), strides=(1, 1), padding=(2, 2)),
            max_pool(3, 2),
            nin_block(64, (3, 3), strides=(1, 1), padding=(1, 1)),
            max_pool(3, 2),
            nn.Dropout(0.5, deterministic=not self.training),
            nin_block(self.num_classes, (3, 3), strides=(1, 1), padding=(1, 1)),
            global_avg_pool,
        ])  # fmt: skip


class Inception(nn.Module):
    """Four paths side by side, whose channels are joined."""

    # c1 to c4: the channels of the branches, the second and third of two layers
    c1: int
    c2: tuple
    c3: tuple
    c4: int

    def setup(self):
        self.b1_1 = Conv(self.c1, kernel_size=(1, 1))
        self.b2_1 = Conv(self.c2[0], kernel_size=(1, 1))
        self.b2_2 = Conv(self.c2[1], kernel_size=(3, 3), padding="same")
        self.b3_1 = Conv(self.c3[0], kernel_size=(1, 1))
        self.b3_2 = Conv(self.c3[1], kernel_size=(5, 5), padding="same")
        self.b4_1 = max_pool(3, 1, padding=1)
        self.b4_2 = Conv(self.c4, kernel_size=(1, 1))

    def __call__(self, X):
        B1 = nn.relu(self.b1_1(X))
        B2 = nn.relu(self.b2_2(nn.relu(self.b2_1(X))))
        B3 = nn.relu(self.b3_2(nn.relu(self.b3_1(X))))
        B4 = nn.relu(self.b4_2(self.b4_1(X)))
        return d2l.concat((B1, B2, B3, B4), axis=-1)


class GoogLeNet(d2l.Classifier):
    """d2l, section 8.4; each stage is a method, most of them added later."""

    lr: float = 0.1
    num_classes: int = 10

    def setup(self):
        self.net = nn.Sequential([
            self.b1(), self.b2(), self.b3(), self.b4(), self.b5(),
            nn.Dense(self.num_classes),
        ])  # fmt: skip

    def b1(self):
        return nn.Sequential([
            Conv(16, kernel_size=(7, 7), strides=2, padding="same"), nn.relu,
            max_pool(3, 2, padding=1),
        ])  # fmt: skip


@d2l.add_to_class(GoogLeNet)
def b2(self):
    return nn.Sequential([
        Conv(16, kernel_size=(1, 1)), nn.relu,
        Conv(48, kernel_size=(3, 3), padding="same"), nn.relu,
        max_pool(3, 2, padding=1),
    ])  # fmt: skip


@d2l.add_to_class(GoogLeNet)
def b3(self):
    return nn.Sequential([
        Inception(16, (24, 32), (4, 8), 8),
        Inception(32, (32, 48), (8, 24), 16),
        max_pool(3, 2, padding=1),
    ])  # fmt: skip


@d2l.add_to_class(GoogLeNet)
def b4(self):
    return nn.Sequential([
        Inception(48, (24, 52), (4, 12), 16),
        Inception(40, (28, 56), (6, 16), 16),
        Inception(32, (32, 64), (6, 16), 16),
        Inception(28, (36, 72), (8, 16), 16),
        Inception(64, (40, 80), (8, 32), 32),
        max_pool(3, 2, padding=1),
    ])  # fmt: skip


@d2l.add_to_class(GoogLeNet)
def b5(self):
    return nn.Sequential([
        Inception(64, (40, 80), (8, 32), 32),
        Inception(96, (48, 96), (12, 32), 32),
        global_avg_pool,
    ])  # fmt: skip


def batch_norm(X, deterministic, gamma, beta, moving_mean, moving_var, eps, momentum):
    """Normalized X; in training the moving statistics keep a share of `momentum`."""
    if deterministic:
        mean, var = moving_mean.value, moving_var.value
    else:
        axes = tuple(range(X.ndim - 1))
        mean = d2l.reduce_mean(X, axis=axes, keepdims=True)
        var = d2l.reduce_mean((X - mean) ** 2, axis=axes, keepdims=True)
        moving_mean.value = momentum * moving_mean.value + (1 - momentum) * mean
        moving_var.value = momentum * moving_var.value + (1 - momentum) * var
    return gamma * (X - mean) / jnp.sqrt(var + eps) + beta


class BatchNorm(nn.Module):
    """Batch normalization by hand, over matrices (2) or images (4 axes)."""

    num_features: int
    num_dims: int
    deterministic: bool = False

    @nn.compact
    def __call__(self, X):
        shape = (1,) * (self.num_dims - 1) + (self.num_features,)
        gamma = self.param("gamma", nn.initializers.ones, shape)
        beta = self.param("beta", nn.initializers.zeros, shape)
        mean = self.variable("batch_stats", "moving_mean", d2l.zeros, shape)
        var = self.variable("batch_stats", "moving_var", d2l.ones, shape)
        return batch_norm(
            X, self.deterministic, gamma, beta, mean, var, eps=1e-5, momentum=0.9
        )


class BNLeNetScratch(d2l.Classifier):
    """d2l, section 8.5.4."""

    lr: float = 0.1
    num_classes: int = 10
    training: bool = True

    def setup(self):
        def avg_pool(X):
            return nn.avg_pool(X, window_shape=(2, 2), strides=(2, 2))

        def norm(num_features, num_dims):
            return BatchNorm(num_features, num_dims, deterministic=not self.training)

        self.net = nn.Sequential([
            nn.Conv(6, kernel_size=(5, 5)), norm(6, 4), nn.sigmoid, avg_pool,
            nn.Conv(16, kernel_size=(5, 5)), norm(16, 4), nn.sigmoid, avg_pool,
            flatten,
            nn.Dense(120), norm(120, 2), nn.sigmoid,
            nn.Dense(84), norm(84, 2), nn.sigmoid,
            nn.Dense(self.num_classes),
        ])  # fmt: skip


class BNLeNet(d2l.Classifier):
    """d2l, section 8.5.6."""

    lr: float = 0.1
    num_classes: int = 10
    training: bool = True

    def setup(self):
        def avg_pool(X):
            return nn.avg_pool(X, window_shape=(2, 2), strides=(2, 2))

        def norm():
            return nn.BatchNorm(not self.training)

        self.net = nn.Sequential([
            nn.Conv(6, kernel_size=(5, 5)), norm(), nn.sigmoid, avg_pool,
            nn.Conv(16, kernel_size=(5, 5)), norm(), nn.sigmoid, avg_pool,
            flatten,
            nn.Dense(120), norm(), nn.sigmoid,
            nn.Dense(84), norm(), nn.sigmoid,
            nn.Dense(self.num_classes),
        ])  # fmt: skip


class ResNet(d2l.Classifier):
    """d2l, section 8.6.3."""

    arch: tuple
    lr: float = 0.1
    num_classes: int = 10
    training: bool = True

    def setup(self):
        self.net = self.create_net()

    def b1(self):
        return nn.Sequential([
            nn.Conv(self.arch[0][1], kernel_size=(7, 7), strides=(2, 2), padding="same"),
            nn.BatchNorm(not self.training), nn.relu,
            lambda X: nn.max_pool(X, (3, 3), strides=(2, 2), padding="same"),
        ])  # fmt: skip


@d2l.add_to_class(ResNet)
def block(self, num_residuals, num_channels, first_block=False):
    layers = []
    for i in range(num_residuals):
        if i == 0 and not first_block:
            layers.append(
                d2l.Residual(
                    num_channels,
                    use_1x1conv=True,
                    strides=(2, 2),
                    training=self.training,
                )
            )
        else:
            layers.append(d2l.Residual(num_channels, training=self.training))
    return nn.Sequential(layers)


@d2l.add_to_class(ResNet)
def create_net(self):
    net = nn.Sequential([self.b1()])
    for i, b in enumerate(self.arch):
        net.layers.extend([self.block(*b, first_block=(i == 0))])
    net.layers.extend([nn.Sequential([global_avg_pool, nn.Dense(self.num_classes)])])
    return net


class ResNet18(ResNet):
    """The one of 18 layers."""

    arch: tuple = ((2, 8), (2, 16), (2, 32), (2, 64))


class AnyNet(d2l.Classifier):
    """d2l, section 8.8.1: stem, stages of ResNeXt blocks, head."""

    arch: tuple
    stem_channels: int
    lr: float = 0.1
    num_classes: int = 10
    training: bool = True

    def setup(self):
        self.net = self.create_net()

    def stem(self, num_channels):
        return nn.Sequential([
            nn.Conv(num_channels, kernel_size=(3, 3), strides=(2, 2), padding=(1, 1)),
            nn.BatchNorm(not self.training),
            nn.relu,
        ])  # fmt: skip


@d2l.add_to_class(AnyNet)
def stage(self, depth, num_channels, groups, bot_mul):
    blocks = []
    for i in range(depth):
        first = {"use_1x1conv": True, "strides": (2, 2)} if i == 0 else {}
        blocks.append(
            d2l.ResNeXtBlock(
                num_channels, groups, bot_mul, training=self.training, **first
            )
        )
    return nn.Sequential(blocks)


@d2l.add_to_class(AnyNet)
def create_net(self):  # noqa: F811  each for its own class
    net = nn.Sequential([self.stem(self.stem_channels)])
    for s in self.arch:
        net.layers.extend([self.stage(*s)])
    net.layers.extend([nn.Sequential([global_avg_pool, nn.Dense(self.num_classes)])])
    return net


class ResNeXt(AnyNet):
    """d2l, section 8.6.5: bottlenecks of half the channels, in groups of 4."""

    arch: tuple = ((2, 16, 4, 0.5), (2, 32, 4, 0.5))
    stem_channels: int = 16


class RegNet(AnyNet):
    """d2l, section 8.8.3: no bottleneck, groups of 8, deeper and wider stages."""

    arch: tuple = ((4, 16, 8, 1), (6, 40, 8, 1))
    stem_channels: int = 16


VGG11 = ((1, 8), (1, 16), (2, 32), (2, 64), (2, 64))

NETWORKS = {
    "LeNet": lambda: d2l.LeNet(lr=0.5),
    "AlexNet": lambda: AlexNet(lr=0.03),
    "VGG": lambda: VGG(VGG11, lr=0.05),
    "NiN": lambda: NiN(lr=0.01),
    "GoogLeNet": lambda: GoogLeNet(lr=0.05),
    "BNLeNetScratch": lambda: BNLeNetScratch(lr=0.1),
    "BNLeNet": lambda: BNLeNet(lr=0.1),
    "ResNet": lambda: ResNet18(lr=0.1),
    "ResNeXt": lambda: ResNeXt(lr=0.1),
    "DenseNet": lambda: d2l.DenseNet(8, 4, arch=(2, 2, 2, 2), lr=0.1),
    "RegNet": lambda: RegNet(lr=0.1),
}
