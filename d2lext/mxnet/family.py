"""The DenseNet Family, from chapters/02-family.md.

Written by `python build.py export`: edit the chapter, not this file.
"""

from d2lext import mxnet as d2l
from mxnet.gluon import nn


# One Layer of the Family
class NormReluConv(nn.HybridSequential):
    """Batch normalization, ReLU, convolution, and dropout if asked for."""

    def __init__(self, num_channels, kernel_size, dropout=0, bias=False):
        super().__init__()
        self.add(
            nn.BatchNorm(),
            nn.Activation("relu"),
            nn.Conv2D(
                num_channels,
                kernel_size,
                padding=kernel_size // 2,
                use_bias=bias,
            ),
            nn.Dropout(dropout),
        )


# One Layer of the Family
class ConvBlockBC(nn.HybridSequential):
    """The new features only, behind a bottleneck if there is one."""

    def __init__(self, num_channels, bottleneck_size=4, **options):
        super().__init__()
        if bottleneck_size:
            width = bottleneck_size * num_channels
            self.add(NormReluConv(width, kernel_size=1, **options))
        self.add(NormReluConv(num_channels, kernel_size=3, **options))

    def hybrid_forward(self, F, *features):
        return super().hybrid_forward(F, F.np.concatenate(features, axis=1))


# A List of Features
class DenseBlockBC(nn.HybridBlock):
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
        self.blocks = nn.HybridSequential()
        for _ in range(num_convs):
            self.blocks.add(
                ConvBlockBC(num_channels, bottleneck_size, **options)
            )

    def hybrid_forward(self, F, X):
        features = [X]
        for block in self.blocks:
            if self.memory_efficient:
                Y = d2l.recompute(block, *features)
            else:
                Y = block(*features)
            features.append(Y)  # (n, num_channels, h, w)
        return F.np.concatenate(features, axis=1)

    def hybridize(self, active=True, **options):
        # Compiled, it would see symbols, of which nothing can be recomputed.
        super().hybridize(active and not self.memory_efficient, **options)


# Transitions That Compress
class TransitionBlockBC(nn.HybridSequential):
    """Pooling for half the size, a 1x1 convolution to `num_channels`."""

    def __init__(self, num_channels, dropout=0, bias=False):
        super().__init__()
        self.add(
            nn.BatchNorm(),
            nn.Activation("relu"),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Conv2D(num_channels, kernel_size=1, use_bias=bias),
            nn.Dropout(dropout),
        )


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
        # Recomputation has no place in a network compiled as a whole.
        Net = nn.Sequential if memory_efficient else nn.HybridSequential
        self.net = Net()
        self.net.add(*net)
        self.net.apply(d2l.init_he)

    def stem(self):
        c, bias = self.num_channels, self.bias
        if self.small_images:
            return [nn.Conv2D(c, kernel_size=3, padding=1, use_bias=bias)]
        return [
            nn.Conv2D(c, kernel_size=7, strides=2, padding=3, use_bias=bias),
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
