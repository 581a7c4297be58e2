"""Densely Connected Networks, from chapters/01-densenet.md.

Written by `python build.py export`: edit the chapter, not this file.
"""

from d2lext import tensorflow as d2l
import keras
import tensorflow as tf
from keras import layers


# Dense Blocks
class ConvBlock(layers.Layer):
    """Batch normalization, ReLU, 3x3 convolution: only new features."""

    def __init__(self, num_channels):
        super().__init__()
        self.net = keras.Sequential([
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.Conv2D(num_channels, kernel_size=3, padding="same"),
        ])

    def call(self, X):
        return self.net(X)  # (n, h, w, c) -> (n, h, w, num_channels)


# Dense Blocks
class DenseBlock(layers.Layer):
    """Convolution blocks, each of which reads the outputs of all before it."""

    def __init__(self, num_convs, num_channels):
        super().__init__()
        self.blocks = [ConvBlock(num_channels) for _ in range(num_convs)]

    def call(self, X):
        for block in self.blocks:
            Y = block(X)
            X = tf.concat((X, Y), axis=-1)  # (n, h, w, c + num_channels)
        return X


# Transition Layers
class TransitionBlock(layers.Layer):
    """Pooling to half the size, a 1x1 convolution to fewer channels."""

    def __init__(self, num_channels):
        super().__init__()
        self.net = keras.Sequential([
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.AveragePooling2D(pool_size=2, strides=2),
            layers.Conv2D(num_channels, kernel_size=1),
        ])

    def call(self, X):
        return self.net(X)  # (n, h, w, c) -> (n, h / 2, w / 2, num_channels)


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
        net = self.stem()
        for i, num_convs in enumerate(arch, 1):
            net.append(DenseBlock(num_convs, growth_rate))
            num_channels += num_convs * growth_rate
            if i < len(arch):
                num_channels //= 2
                net.append(TransitionBlock(num_channels))
        net += self.head()
        self.net = keras.Sequential(net)

    def stem(self):
        # Explicit padding: "same" pads a stride of 2 on one side more.
        return [
            layers.ZeroPadding2D(3),
            layers.Conv2D(self.num_channels, kernel_size=7, strides=2),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.ZeroPadding2D(1),  # nothing is below zero after ReLU
            layers.MaxPooling2D(pool_size=3, strides=2),
        ]

    def head(self):
        return [
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(self.num_classes),
        ]
