"""Densely Connected Networks, from chapters/01-densenet.md.

Written by `python build.py export`: edit the chapter, not this file.
"""

from d2lext import mxnet as d2l
from mxnet.gluon import nn


# Dense Blocks
class ConvBlock(nn.HybridBlock):
    """Batch normalization, ReLU, 3x3 convolution: only new features."""

    def __init__(self, num_channels):
        super().__init__()
        self.net = nn.HybridSequential()
        self.net.add(
            nn.BatchNorm(),
            nn.Activation("relu"),
            nn.Conv2D(num_channels, kernel_size=3, padding=1),
        )

    def hybrid_forward(self, F, X):
        return self.net(X)  # (n, c, h, w) -> (n, num_channels, h, w)


# Dense Blocks
class DenseBlock(nn.HybridBlock):
    """Convolution blocks, each of which reads the outputs of all before it."""

    def __init__(self, num_convs, num_channels):
        super().__init__()
        self.blocks = nn.HybridSequential()
        for _ in range(num_convs):
            self.blocks.add(ConvBlock(num_channels))

    def hybrid_forward(self, F, X):
        for block in self.blocks:
            Y = block(X)
            X = F.np.concatenate((X, Y), axis=1)  # (n, c + num_channels, h, w)
        return X


# Transition Layers
class TransitionBlock(nn.HybridBlock):
    """Pooling to half the size, a 1x1 convolution to fewer channels."""

    def __init__(self, num_channels):
        super().__init__()
        self.net = nn.HybridSequential()
        self.net.add(
            nn.BatchNorm(),
            nn.Activation("relu"),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Conv2D(num_channels, kernel_size=1),
        )

    def hybrid_forward(self, F, X):
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
        self.net = nn.HybridSequential()
        self.net.add(*layers)
        self.net.apply(d2l.init_cnn)

    def stem(self):
        return [
            nn.Conv2D(self.num_channels, kernel_size=7, strides=2, padding=3),
            nn.BatchNorm(),
            nn.Activation("relu"),
            nn.MaxPool2D(pool_size=3, strides=2, padding=1),
        ]

    def head(self):
        return [
            nn.BatchNorm(),
            nn.Activation("relu"),
            nn.GlobalAvgPool2D(),
            nn.Flatten(),
            nn.Dense(self.num_classes),
        ]
