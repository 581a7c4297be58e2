"""The networks of d2l's convolutional chapters in PyTorch, with fewer channels.

They are written as a notebook writes them, against PyTorch and d2l alone.
"""

import torch
from torch import nn
from torch.nn import functional as F

from d2lext import torch as d2l


class AlexNet(d2l.Classifier):
    """d2l, section 8.1."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.LazyConv2d(16, kernel_size=11, stride=4, padding=1), nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.LazyConv2d(32, kernel_size=5, padding=2), nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.LazyConv2d(48, kernel_size=3, padding=1), nn.ReLU(),
            nn.LazyConv2d(48, kernel_size=3, padding=1), nn.ReLU(),
            nn.LazyConv2d(32, kernel_size=3, padding=1), nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Flatten(),
            nn.LazyLinear(64), nn.ReLU(), nn.Dropout(p=0.5),
            nn.LazyLinear(64), nn.ReLU(), nn.Dropout(p=0.5),
            nn.LazyLinear(num_classes),
        )  # fmt: skip
        self.net.apply(d2l.init_cnn)


def vgg_block(num_convs, num_channels):
    """3x3 convolutions, then half the height and width."""
    layers = []
    for _ in range(num_convs):
        layers.append(nn.LazyConv2d(num_channels, kernel_size=3, padding=1))
        layers.append(nn.ReLU())
    layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return nn.Sequential(*layers)


class VGG(d2l.Classifier):
    """d2l, section 8.2: VGG-11."""

    def __init__(self, arch, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            *[vgg_block(*block) for block in arch],
            nn.Flatten(),
            nn.LazyLinear(64), nn.ReLU(), nn.Dropout(0.5),
            nn.LazyLinear(64), nn.ReLU(), nn.Dropout(0.5),
            nn.LazyLinear(num_classes),
        )  # fmt: skip
        self.net.apply(d2l.init_cnn)


def nin_block(num_channels, kernel_size, strides, padding):
    """A convolution, then a small network of two layers in each pixel."""
    return nn.Sequential(
        nn.LazyConv2d(num_channels, kernel_size, strides, padding), nn.ReLU(),
        nn.LazyConv2d(num_channels, kernel_size=1), nn.ReLU(),
        nn.LazyConv2d(num_channels, kernel_size=1), nn.ReLU(),
    )  # fmt: skip


class NiN(d2l.Classifier):
    """d2l, section 8.3."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nin_block(16, kernel_size=11, strides=4, padding=0),
            nn.MaxPool2d(3, stride=2),
            nin_block(32, kernel_size=5, strides=1, padding=2),
            nn.MaxPool2d(3, stride=2),
            nin_block(48, kernel_size=3, strides=1, padding=1),
            nn.MaxPool2d(3, stride=2),
            nn.Dropout(0.5),
            nin_block(num_classes, kernel_size=3, strides=1, padding=1),
            nn.AdaptiveAvgPool2d((1, 1)),
            nn.Flatten(),
        )
        self.net.apply(d2l.init_cnn)


class Inception(nn.Module):
    """Four paths side by side, whose channels are joined."""

    def __init__(self, c1, c2, c3, c4, **kwargs):
        super().__init__(**kwargs)
        self.b1_1 = nn.LazyConv2d(c1, kernel_size=1)
        self.b2_1 = nn.LazyConv2d(c2[0], kernel_size=1)
        self.b2_2 = nn.LazyConv2d(c2[1], kernel_size=3, padding=1)
        self.b3_1 = nn.LazyConv2d(c3[0], kernel_size=1)
        self.b3_2 = nn.LazyConv2d(c3[1], kernel_size=5, padding=2)
        self.b4_1 = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
        self.b4_2 = nn.LazyConv2d(c4, kernel_size=1)

    def forward(self, x):
        b1 = F.relu(self.b1_1(x))
        b2 = F.relu(self.b2_2(F.relu(self.b2_1(x))))
        b3 = F.relu(self.b3_2(F.relu(self.b3_1(x))))
        b4 = F.relu(self.b4_2(self.b4_1(x)))
        return d2l.concat((b1, b2, b3, b4), dim=1)


class GoogLeNet(d2l.Classifier):
    """d2l, section 8.4; each stage is a method that is added to the class later."""


@d2l.add_to_class(GoogLeNet)
def stem(self):
    return nn.Sequential(
        nn.LazyConv2d(16, kernel_size=7, stride=2, padding=3), nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        nn.LazyConv2d(16, kernel_size=1), nn.ReLU(),
        nn.LazyConv2d(48, kernel_size=3, padding=1), nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
    )  # fmt: skip


@d2l.add_to_class(GoogLeNet)
def stage(self, *blocks):
    return nn.Sequential(*[Inception(*channels) for channels in blocks])


@d2l.add_to_class(GoogLeNet)
def __init__(self, lr=0.1, num_classes=10):
    super(GoogLeNet, self).__init__()
    self.save_hyperparameters()
    narrow, wide = (8, (8, 16), (4, 8), 8), (16, (8, 32), (4, 8), 8)
    self.net = nn.Sequential(
        self.stem(),
        self.stage(narrow, wide),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        self.stage(narrow, narrow, narrow, wide, wide),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        self.stage(wide, wide),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
        nn.LazyLinear(num_classes),
    )
    self.net.apply(d2l.init_cnn)


def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    """Normalized X and the new moving statistics; `momentum` is the new ones' share."""
    if not torch.is_grad_enabled():  # prediction
        X_hat = (X - moving_mean) / torch.sqrt(moving_var + eps)
        return gamma * X_hat + beta, moving_mean, moving_var
    axes = (0,) if len(X.shape) == 2 else (0, 2, 3)
    mean = d2l.reduce_mean(X, axes, keepdim=True)
    var = d2l.reduce_mean((X - mean) ** 2, axes, keepdim=True)
    X_hat = (X - mean) / torch.sqrt(var + eps)
    moving_mean = (1.0 - momentum) * moving_mean + momentum * mean
    moving_var = (1.0 - momentum) * moving_var + momentum * var
    return gamma * X_hat + beta, moving_mean.data, moving_var.data


class BatchNorm(nn.Module):
    """Batch normalization by hand, over matrices (2) or images (4 axes)."""

    def __init__(self, num_features, num_dims):
        super().__init__()
        shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        self.gamma = nn.Parameter(d2l.ones(shape))
        self.beta = nn.Parameter(d2l.zeros(shape))
        self.moving_mean = d2l.zeros(shape)
        self.moving_var = d2l.ones(shape)

    def forward(self, X):
        if self.moving_mean.device != X.device:
            self.moving_mean = d2l.to(self.moving_mean, X.device)
            self.moving_var = d2l.to(self.moving_var, X.device)
        Y, self.moving_mean, self.moving_var = batch_norm(
            X,
            self.gamma,
            self.beta,
            self.moving_mean,
            self.moving_var,
            eps=1e-5,
            momentum=0.1,
        )
        return Y


class BNLeNetScratch(d2l.Classifier):
    """d2l, section 8.5.4."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.LazyConv2d(6, kernel_size=5), BatchNorm(6, num_dims=4), nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.LazyConv2d(16, kernel_size=5), BatchNorm(16, num_dims=4), nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.Flatten(),
            nn.LazyLinear(120), BatchNorm(120, num_dims=2), nn.Sigmoid(),
            nn.LazyLinear(84), BatchNorm(84, num_dims=2), nn.Sigmoid(),
            nn.LazyLinear(num_classes),
        )  # fmt: skip


class BNLeNet(d2l.Classifier):
    """d2l, section 8.5.6."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.LazyConv2d(6, kernel_size=5), nn.LazyBatchNorm2d(), nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.LazyConv2d(16, kernel_size=5), nn.LazyBatchNorm2d(), nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.Flatten(),
            nn.LazyLinear(120), nn.LazyBatchNorm1d(), nn.Sigmoid(),
            nn.LazyLinear(84), nn.LazyBatchNorm1d(), nn.Sigmoid(),
            nn.LazyLinear(num_classes),
        )  # fmt: skip


class ResNet(d2l.Classifier):
    """d2l, section 8.6.3: ResNet-18."""

    def block(self, num_residuals, num_channels, first_block=False):
        block = []
        for i in range(num_residuals):
            if i == 0 and not first_block:
                block.append(d2l.Residual(num_channels, use_1x1conv=True, strides=2))
            else:
                block.append(d2l.Residual(num_channels))
        return nn.Sequential(*block)

    def __init__(self, arch, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.LazyConv2d(arch[0][1], kernel_size=7, stride=2, padding=3),
            nn.LazyBatchNorm2d(),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        for i, b in enumerate(arch):
            self.net.add_module(f"b{i + 2}", self.block(*b, first_block=(i == 0)))
        last = nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)
        self.net.add_module("last", nn.Sequential(*last))
        self.net.apply(d2l.init_cnn)


class AnyNet(d2l.Classifier):
    """d2l, section 8.8.1: stem, stages of ResNeXt blocks, head."""

    def stem(self, num_channels):
        return nn.Sequential(
            nn.LazyConv2d(num_channels, kernel_size=3, stride=2, padding=1),
            nn.LazyBatchNorm2d(),
            nn.ReLU(),
        )

    def stage(self, depth, num_channels, groups, bot_mul):
        block = [
            d2l.ResNeXtBlock(num_channels, groups, bot_mul, use_1x1conv=True, strides=2)
        ]
        for _ in range(depth - 1):
            block.append(d2l.ResNeXtBlock(num_channels, groups, bot_mul))
        return nn.Sequential(*block)

    def __init__(self, arch, stem_channels, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(self.stem(stem_channels))
        for i, s in enumerate(arch):
            self.net.add_module(f"stage{i + 1}", self.stage(*s))
        head = nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)
        self.net.add_module("head", nn.Sequential(*head))
        self.net.apply(d2l.init_cnn)


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
    "VGG": lambda: VGG(VGG11, lr=0.1),
    "NiN": lambda: NiN(lr=0.3),
    "GoogLeNet": lambda: GoogLeNet(lr=0.2),
    "BNLeNetScratch": lambda: BNLeNetScratch(lr=0.1),
    "BNLeNet": lambda: BNLeNet(lr=0.1),
    "ResNet": lambda: ResNet(RESNET18, lr=0.1),
    "ResNeXt": lambda: ResNeXt(lr=0.1),
    "DenseNet": lambda: d2l.DenseNet(8, 4, arch=(2, 2, 2, 2), lr=0.1),
    "RegNet": lambda: RegNet(lr=0.1),
}
