"""The DenseNet Family, from chapters/02-family.md.

Written by `python build.py export`: edit the chapter, not this file.
"""

import torch
from torch import nn
from d2lext import torch as d2l


# One Layer of the Family
class NormReluConv(nn.Sequential):
    """Batch normalization, ReLU, convolution, and dropout if asked for."""

    def __init__(self, num_channels, kernel_size, dropout=0, bias=False):
        super().__init__(
            nn.LazyBatchNorm2d(),
            nn.ReLU(),
            nn.LazyConv2d(
                num_channels,
                kernel_size,
                padding=kernel_size // 2,
                bias=bias,
            ),
            nn.Dropout(dropout),
        )


# One Layer of the Family
class ConvBlockBC(nn.Sequential):
    """The new features only, behind a bottleneck if there is one."""

    def __init__(self, num_channels, bottleneck_size=4, **options):
        super().__init__()
        if bottleneck_size:
            width = bottleneck_size * num_channels
            self.append(NormReluConv(width, kernel_size=1, **options))
        self.append(NormReluConv(num_channels, kernel_size=3, **options))

    def forward(self, *features):
        return super().forward(torch.cat(features, dim=1))


# A List of Features
class DenseBlockBC(nn.Module):
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
        self.blocks = nn.ModuleList(
            ConvBlockBC(num_channels, bottleneck_size, **options)
            for _ in range(num_convs)
        )

    def forward(self, X):
        features = [X]
        for block in self.blocks:
            if self.memory_efficient:
                Y = d2l.recompute(block, *features)
            else:
                Y = block(*features)
            features.append(Y)  # (n, num_channels, h, w)
        return torch.cat(features, dim=1)


# Transitions That Compress
class TransitionBlockBC(nn.Sequential):
    """Pooling for half the size, a 1x1 convolution to `num_channels`."""

    def __init__(self, num_channels, dropout=0, bias=False):
        super().__init__(
            nn.LazyBatchNorm2d(),
            nn.ReLU(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.LazyConv2d(num_channels, kernel_size=1, bias=bias),
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
        self.net = nn.Sequential(*net)
        self.net.apply(d2l.init_he)

    def stem(self):
        c, bias = self.num_channels, self.bias
        if self.small_images:
            return [nn.LazyConv2d(c, kernel_size=3, padding=1, bias=bias)]
        return [
            nn.LazyConv2d(c, kernel_size=7, stride=2, padding=3, bias=bias),
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
