"""The DenseNet Family, from chapters/02-family.md.

Written by `python build.py export`: edit the chapter, not this file.
"""

from d2lext import tensorflow as d2l
import keras
import tensorflow as tf
from keras import layers


# One Layer of the Family
class NormReluConv(layers.Layer):
    """Batch normalization, ReLU, convolution, and dropout if asked for."""

    def __init__(self, num_channels, kernel_size, dropout=0, bias=False):
        super().__init__()
        self.net = keras.Sequential([
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.Conv2D(
                num_channels,
                kernel_size,
                padding="same",
                use_bias=bias,
                kernel_initializer=d2l.HeNormal(),
            ),
            layers.Dropout(dropout),
        ])

    def call(self, X):
        return self.net(X)


# One Layer of the Family
class ConvBlockBC(layers.Layer):
    """The new features only, behind a bottleneck if there is one."""

    def __init__(self, num_channels, bottleneck_size=4, **options):
        super().__init__()
        self.net = keras.Sequential()
        if bottleneck_size:
            width = bottleneck_size * num_channels
            self.net.add(NormReluConv(width, kernel_size=1, **options))
        self.net.add(NormReluConv(num_channels, kernel_size=3, **options))

    def call(self, features):
        return self.net(tf.concat(features, axis=-1))


# A List of Features
class DenseBlockBC(layers.Layer):
    """Convolution blocks, each of which sees the output of all before it."""

    def __init__(
        self,
        num_convs,
        num_channels,
        bottleneck_size=4,
        memory_efficient=False,
        **options,
    ):
        super().__init__()
        self.memory_efficient = memory_efficient
        self.blocks = [
            ConvBlockBC(num_channels, bottleneck_size, **options)
            for _ in range(num_convs)
        ]

    def call(self, X, training=None):
        features = [X]
        for block in self.blocks:
            if self.memory_efficient:
                Y = d2l.recompute(block, *features, training=training)
            else:
                Y = block(features)
            features.append(Y)  # (n, h, w, num_channels)
        return tf.concat(features, axis=-1)


# Transitions That Compress
class TransitionBlockBC(layers.Layer):
    """Pooling for half the size, a 1x1 convolution to `num_channels`."""

    def __init__(self, num_channels, dropout=0, bias=False):
        super().__init__()
        self.net = keras.Sequential([
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.AveragePooling2D(pool_size=2, strides=2),
            layers.Conv2D(
                num_channels,
                kernel_size=1,
                use_bias=bias,
                kernel_initializer=d2l.HeNormal(),
            ),
            layers.Dropout(dropout),
        ])

    def call(self, X):
        return self.net(X)


# The Network
class DenseNetBC(d2l.Classifier):
    """Any network of the paper, with bottlenecks, compression, or both."""

    def __init__(
        self,
        arch=(6, 12, 24, 16),
        growth_rate=32,
        num_channels=64,
        bottleneck_size=4,
        compression=0.5,
        dropout=0,
        small_images=False,
        bias=False,
        memory_efficient=False,
        lr=0.1,
        momentum=0,
        weight_decay=0,
        num_classes=1000,
    ):
        super().__init__()
        self.save_hyperparameters()
        options = {"dropout": dropout, "bias": bias}
        net = self.stem()
        for i, num_convs in enumerate(arch, 1):
            net.append(
                DenseBlockBC(
                    num_convs,
                    growth_rate,
                    bottleneck_size,
                    memory_efficient,
                    **options,
                )
            )
            num_channels += num_convs * growth_rate
            if i < len(arch):
                num_channels = int(num_channels * compression)
                net.append(TransitionBlockBC(num_channels, **options))
        net += self.head()
        self.net = keras.Sequential(net)

    def stem(self):
        c = self.num_channels
        options = {
            "use_bias": self.bias,
            "kernel_initializer": d2l.HeNormal(),
        }
        if self.small_images:
            return [layers.Conv2D(c, 3, padding="same", **options)]
        # Explicit padding: "same" pads a stride of 2 on one side more.
        return [
            layers.ZeroPadding2D(3),
            layers.Conv2D(c, kernel_size=7, strides=2, **options),
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
