"""Densely Connected Networks, from chapters/01-densenet.md.

Written by `python build.py export`: edit the chapter, not this file.
"""

import torch
from torch import nn
from d2lext import torch as d2l


# Dense Blocks
class ConvBlock(nn.Module):
    """Batch normalization, ReLU, 3x3 convolution: only new features."""

    def __init__(self, num_channels):
        super().__init__()
        self.net = nn.Sequential(
            nn.LazyBatchNorm2d(),
            nn.ReLU(),
            nn.LazyConv2d(num_channels, kernel_size=3, padding=1),
        )

    def forward(self, X):
        return self.net(X)  # (n, c, h, w) -> (n, num_channels, h, w)


# Dense Blocks
class DenseBlock(nn.Module):
    """Convolution blocks, each of which reads the outputs of all before it."""

    def __init__(self, num_convs, num_channels):
        super().__init__()
        self.blocks = nn.ModuleList(
            ConvBlock(num_channels) for _ in range(num_convs)
        )

    def forward(self, X):
        for block in self.blocks:
            Y = block(X)
            X = torch.cat((X, Y), dim=1)  # (n, c + num_channels, h, w)
        return X


# Transition Layers
class TransitionBlock(nn.Module):
    """Pooling to half the size, a 1x1 convolution to fewer channels."""

    def __init__(self, num_channels):
        super().__init__()
        self.net = nn.Sequential(
            nn.LazyBatchNorm2d(),
            nn.ReLU(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.LazyConv2d(num_channels, kernel_size=1),
        )

    def forward(self, X):
        return self.net(X)  # (n, c, h, w) -> (n, num_channels, h / 2, w / 2)


# The Whole Network
class DenseNet(d2l.Classifier):
    """Stem, dense blocks with transitions between them, head."""

    def __init__(
        self,
        num_channels=64,
        growth_rate=32,
        arch=(4, 4, 4, 4),
        lr=0.1,
        num_classes=10,
    ):
        super().__init__()
        self.save_hyperparameters()
        layers = self.stem()
        for i, num_convs in enumerate(arch, 1):
            layers.append(DenseBlock(num_convs, growth_rate))
            num_channels += num_convs * growth_rate
            if i < len(arch):
                num_channels //= 2
                layers.append(TransitionBlock(num_channels))
        layers += self.head()
        self.net = nn.Sequential(*layers)
        # Takes effect at the first input, when lazy layers get their weights.
        self.net.apply(d2l.init_cnn)

    def stem(self):
        return [
            nn.LazyConv2d(
                self.num_channels, kernel_size=7, stride=2, padding=3
            ),
            nn.LazyBatchNorm2d(),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        ]

    def head(self):
        return [
            nn.LazyBatchNorm2d(),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d((1, 1)),
            nn.Flatten(),
            nn.LazyLinear(self.num_classes),
        ]
