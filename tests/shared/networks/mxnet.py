"""The networks of d2l's convolutional chapters in MXNet, with fewer channels.

They are written as a notebook writes them, against MXNet and d2l alone.
"""

from d2lext import mxnet as d2l  # first: it prepares what MXNet reads

# isort: split
from mxnet import autograd, init, np
from mxnet.gluon import nn


class AlexNet(d2l.Classifier):
    """d2l, section 8.1."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential()
        self.net.add(
            nn.Conv2D(16, kernel_size=11, strides=4, padding=1, activation="relu"),
            nn.MaxPool2D(pool_size=3, strides=2),
            nn.Conv2D(32, kernel_size=5, padding=2, activation="relu"),
            nn.MaxPool2D(pool_size=3, strides=2),
            nn.Conv2D(48, kernel_size=3, padding=1, activation="relu"),
            nn.Conv2D(48, kernel_size=3, padding=1, activation="relu"),
            nn.Conv2D(32, kernel_size=3, padding=1, activation="relu"),
            nn.MaxPool2D(pool_size=3, strides=2),
            nn.Dense(64, activation="relu"),
            nn.Dropout(0.5),
            nn.Dense(64, activation="relu"),
            nn.Dropout(0.5),
            nn.Dense(num_classes),
        )
        self.net.initialize(init.Xavier())


def vgg_block(num_convs, num_channels):
    """3x3 convolutions, then half the height and width."""
    block = nn.Sequential()
    for _ in range(num_convs):
        block.add(nn.Conv2D(num_channels, kernel_size=3, padding=1, activation="relu"))
    block.add(nn.MaxPool2D(pool_size=2, strides=2))
    return block


class VGG(d2l.Classifier):
    """d2l, section 8.2: VGG-11."""

    def __init__(self, arch, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential()
        for num_convs, num_channels in arch:
            self.net.add(vgg_block(num_convs, num_channels))
        self.net.add(
            nn.Dense(64, activation="relu"),
            nn.Dropout(0.5),
            nn.Dense(64, activation="relu"),
            nn.Dropout(0.5),
            nn.Dense(num_classes),
        )
        self.net.initialize(init.Xavier())


def nin_block(num_channels, kernel_size, strides, padding):
    """A convolution, then a small network of two layers in each pixel."""
    block = nn.Sequential()
    block.add(
        nn.Conv2D(num_channels, kernel_size, strides, padding, activation="relu"),
        nn.Conv2D(num_channels, kernel_size=1, activation="relu"),
        nn.Conv2D(num_channels, kernel_size=1, activation="relu"),
    )
    return block


class NiN(d2l.Classifier):
    """d2l, section 8.3."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential()
        self.net.add(
            nin_block(16, kernel_size=11, strides=4, padding=0),
            nn.MaxPool2D(pool_size=3, strides=2),
            nin_block(32, kernel_size=5, strides=1, padding=2),
            nn.MaxPool2D(pool_size=3, strides=2),
            nin_block(48, kernel_size=3, strides=1, padding=1),
            nn.MaxPool2D(pool_size=3, strides=2),
            nn.Dropout(0.5),
            nin_block(num_classes, kernel_size=3, strides=1, padding=1),
            nn.GlobalAvgPool2D(),
            nn.Flatten(),
        )
        # Twice the variance, of which each ReLU leaves half: few steps are made.
        self.net.initialize(init.Xavier(magnitude=6))


class Inception(nn.Block):
    """Four paths side by side, whose channels are joined."""

    def __init__(self, c1, c2, c3, c4, **kwargs):
        super().__init__(**kwargs)
        self.b1_1 = nn.Conv2D(c1, kernel_size=1, activation="relu")
        self.b2_1 = nn.Conv2D(c2[0], kernel_size=1, activation="relu")
        self.b2_2 = nn.Conv2D(c2[1], kernel_size=3, padding=1, activation="relu")
        self.b3_1 = nn.Conv2D(c3[0], kernel_size=1, activation="relu")
        self.b3_2 = nn.Conv2D(c3[1], kernel_size=5, padding=2, activation="relu")
        self.b4_1 = nn.MaxPool2D(pool_size=3, strides=1, padding=1)
        self.b4_2 = nn.Conv2D(c4, kernel_size=1, activation="relu")

    def forward(self, X):
        paths = (
            self.b1_1(X),
            self.b2_2(self.b2_1(X)),
            self.b3_2(self.b3_1(X)),
            self.b4_2(self.b4_1(X)),
        )
        return d2l.concat(paths, axis=1)


class GoogLeNet(d2l.Classifier):
    """d2l, section 8.4; each stage is a method that is added to the class later."""


@d2l.add_to_class(GoogLeNet)
def stem(self):
    net = nn.Sequential()
    net.add(
        nn.Conv2D(16, kernel_size=7, strides=2, padding=3, activation="relu"),
        nn.MaxPool2D(pool_size=3, strides=2, padding=1),
        nn.Conv2D(16, kernel_size=1, activation="relu"),
        nn.Conv2D(48, kernel_size=3, padding=1, activation="relu"),
        nn.MaxPool2D(pool_size=3, strides=2, padding=1),
    )
    return net


@d2l.add_to_class(GoogLeNet)
def stage(self, *blocks):
    net = nn.Sequential()
    net.add(*[Inception(*channels) for channels in blocks])
    return net


@d2l.add_to_class(GoogLeNet)
def __init__(self, lr=0.1, num_classes=10):
    super(GoogLeNet, self).__init__()
    self.save_hyperparameters()
    narrow, wide = (8, (16, 16), (8, 8), 8), (16, (16, 32), (8, 16), 16)
    self.net = nn.Sequential()
    self.net.add(
        self.stem(),
        self.stage(narrow, wide),
        nn.MaxPool2D(pool_size=3, strides=2, padding=1),
        self.stage(narrow, narrow, narrow, wide, wide),
        nn.MaxPool2D(pool_size=3, strides=2, padding=1),
        self.stage(wide, wide),
        nn.GlobalAvgPool2D(),
        nn.Dense(num_classes),
    )
    self.net.initialize(init.Xavier())


def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    """Normalized X and the new moving statistics, of which `momentum` is kept."""
    if not autograd.is_training():
        X_hat = (X - moving_mean) / np.sqrt(moving_var + eps)
        return gamma * X_hat + beta, moving_mean, moving_var
    axes = (0,) if X.ndim == 2 else (0, 2, 3)
    mean = X.mean(axis=axes, keepdims=True)
    var = ((X - mean) ** 2).mean(axis=axes, keepdims=True)
    X_hat = (X - mean) / np.sqrt(var + eps)
    moving_mean = momentum * moving_mean + (1 - momentum) * mean.detach()
    moving_var = momentum * moving_var + (1 - momentum) * var.detach()
    return gamma * X_hat + beta, moving_mean, moving_var


class BatchNorm(nn.Block):
    """Batch normalization by hand, over matrices (2) or images (4 axes)."""

    def __init__(self, num_features, num_dims, **kwargs):
        super().__init__(**kwargs)
        shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        self.gamma = self.params.get("gamma", shape=shape, init=init.One())
        self.beta = self.params.get("beta", shape=shape, init=init.Zero())
        self.moving_mean = d2l.zeros(shape)
        self.moving_var = d2l.ones(shape)

    def forward(self, X):
        if self.moving_mean.ctx != X.ctx:
            self.moving_mean = self.moving_mean.copyto(X.ctx)
            self.moving_var = self.moving_var.copyto(X.ctx)
        Y, self.moving_mean, self.moving_var = batch_norm(
            X,
            self.gamma.data(),
            self.beta.data(),
            self.moving_mean,
            self.moving_var,
            eps=1e-5,
            momentum=0.9,
        )
        return Y


class BNLeNetScratch(d2l.Classifier):
    """d2l, section 8.5.4."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential()
        self.net.add(
            nn.Conv2D(6, kernel_size=5),
            BatchNorm(6, num_dims=4),
            nn.Activation("sigmoid"),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Conv2D(16, kernel_size=5),
            BatchNorm(16, num_dims=4),
            nn.Activation("sigmoid"),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Dense(120),
            BatchNorm(120, num_dims=2),
            nn.Activation("sigmoid"),
            nn.Dense(84),
            BatchNorm(84, num_dims=2),
            nn.Activation("sigmoid"),
            nn.Dense(num_classes),
        )
        self.initialize()


class BNLeNet(d2l.Classifier):
    """d2l, section 8.5.6."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential()
        self.net.add(
            nn.Conv2D(6, kernel_size=5),
            nn.BatchNorm(),
            nn.Activation("sigmoid"),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Conv2D(16, kernel_size=5),
            nn.BatchNorm(),
            nn.Activation("sigmoid"),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Dense(120),
            nn.BatchNorm(),
            nn.Activation("sigmoid"),
            nn.Dense(84),
            nn.BatchNorm(),
            nn.Activation("sigmoid"),
            nn.Dense(num_classes),
        )
        self.initialize()


class ResNet(d2l.Classifier):
    """d2l, section 8.6.3: ResNet-18."""

    def block(self, num_residuals, num_channels, first_block=False):
        block = nn.Sequential()
        for i in range(num_residuals):
            if i == 0 and not first_block:
                block.add(d2l.Residual(num_channels, use_1x1conv=True, strides=2))
            else:
                block.add(d2l.Residual(num_channels))
        return block

    def __init__(self, arch, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential()
        self.net.add(
            nn.Conv2D(arch[0][1], kernel_size=7, strides=2, padding=3),
            nn.BatchNorm(),
            nn.Activation("relu"),
            nn.MaxPool2D(pool_size=3, strides=2, padding=1),
        )
        for i, (num_residuals, num_channels) in enumerate(arch):
            self.net.add(self.block(num_residuals, num_channels, first_block=(i == 0)))
        self.net.add(nn.GlobalAvgPool2D(), nn.Dense(num_classes))
        self.net.initialize(init.Xavier())


class AnyNet(d2l.Classifier):
    """d2l, section 8.8.1: stem, stages of ResNeXt blocks, head."""

    def stem(self, num_channels):
        net = nn.Sequential()
        net.add(
            nn.Conv2D(num_channels, kernel_size=3, strides=2, padding=1),
            nn.BatchNorm(),
            nn.Activation("relu"),
        )
        return net

    def stage(self, depth, num_channels, groups, bot_mul):
        net = nn.Sequential()
        net.add(
            d2l.ResNeXtBlock(num_channels, groups, bot_mul, use_1x1conv=True, strides=2)
        )
        for _ in range(depth - 1):
            net.add(d2l.ResNeXtBlock(num_channels, groups, bot_mul))
        return net

    def __init__(self, arch, stem_channels, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential()
        self.net.add(self.stem(stem_channels))
        for stage in arch:
            self.net.add(self.stage(*stage))
        self.net.add(nn.GlobalAvgPool2D(), nn.Dense(num_classes))
        self.net.initialize(init.Xavier())


class ResNeXt(AnyNet):
    """d2l, section 8.6.5: bottlenecks of half the channels, in groups of 4."""

    def __init__(self, lr=0.1, num_classes=10):
        arch = ((2, 16, 4, 0.5), (2, 32, 4, 0.5))
        super().__init__(arch, 16, lr, num_classes)


class RegNet(AnyNet):
    """d2l, section 8.8.3: no bottleneck, groups of 8, deeper and wider stages."""

    def __init__(self, lr=0.1, num_classes=10):
        arch = ((4, 16, 8, 1), (6, 40, 8, 1))
        super().__init__(arch, 16, lr, num_classes)


VGG11 = ((1, 8), (1, 16), (2, 32), (2, 64), (2, 64))
RESNET18 = ((2, 8), (2, 16), (2, 32), (2, 64))

NETWORKS = {
    "LeNet": lambda: d2l.LeNet(lr=0.1),
    "AlexNet": lambda: AlexNet(lr=0.1),
    "VGG": lambda: VGG(VGG11, lr=0.2),
    "NiN": lambda: NiN(lr=0.1),
    "GoogLeNet": lambda: GoogLeNet(lr=0.1),
    "BNLeNetScratch": lambda: BNLeNetScratch(lr=0.1),
    "BNLeNet": lambda: BNLeNet(lr=0.1),
    "ResNet": lambda: ResNet(RESNET18, lr=0.1),
    "ResNeXt": lambda: ResNeXt(lr=0.1),
    "DenseNet": lambda: d2l.DenseNet(8, 4, arch=(2, 2, 2, 2), lr=0.1),
    "RegNet": lambda: RegNet(lr=0.1),
}
