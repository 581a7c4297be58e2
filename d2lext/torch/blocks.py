"""d2l's blocks and LeNet, which its chapters on convolutions build and then reuse."""

import torch
from torch import nn
from torch.nn import functional as F

from d2lext.torch.module import Classifier


def corr2d(X, K):
    """The two-dimensional cross-correlation of X (h, w) with the kernel K (p, q).

    It has the shape (h - p + 1, w - q + 1). Zhang et al. (2023), section 7.2.
    """
    p, q = K.shape
    Y = torch.zeros((X.shape[0] - p + 1, X.shape[1] - q + 1), device=X.device)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + p, j : j + q] * K).sum()
    return Y


class LeNet(Classifier):
    """LeNet-5 for images of 28x28 pixels (LeCun et al., 1998, figure 2).

    As in section 7.6 of Zhang et al. (2023): no Gaussian layer, and sigmoids.
    """

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.LazyConv2d(6, kernel_size=5, padding=2),
            nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.LazyConv2d(16, kernel_size=5),
            nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.Flatten(),
            nn.LazyLinear(120),
            nn.Sigmoid(),
            nn.LazyLinear(84),
            nn.Sigmoid(),
            nn.LazyLinear(num_classes),
        )


class Residual(nn.Module):
    """Two 3x3 convolutions whose output is added to the input (He et al., 2016a).

    `use_1x1conv` gives the input as many channels, and `strides` the size, that the
    sum needs: figure 2 and equations 1 and 2 of the paper.
    """

    def __init__(self, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.conv1 = nn.LazyConv2d(
            num_channels, kernel_size=3, padding=1, stride=strides
        )
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = None
        if use_1x1conv:
            self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides)
        self.bn1 = nn.LazyBatchNorm2d()
        self.bn2 = nn.LazyBatchNorm2d()

    def forward(self, X):
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3 is not None:
            X = self.conv3(X)
        return F.relu(Y + X)  # (n, c, h, w) -> (n, num_channels, h / s, w / s)


class ResNeXtBlock(nn.Module):
    """A residual block with a grouped convolution in a bottleneck (Xie et al., 2017).

    Figure 3c of the paper. The bottleneck has `bot_mul` times as many channels as the
    output, and `groups` of them, as in d2l, are the channels of one group.
    """

    def __init__(self, num_channels, groups, bot_mul, use_1x1conv=False, strides=1):
        super().__init__()
        bot_channels = round(num_channels * bot_mul)
        self.conv1 = nn.LazyConv2d(bot_channels, kernel_size=1)
        self.conv2 = nn.LazyConv2d(
            bot_channels,
            kernel_size=3,
            stride=strides,
            padding=1,
            groups=bot_channels // groups,
        )
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1)
        self.bn1 = nn.LazyBatchNorm2d()
        self.bn2 = nn.LazyBatchNorm2d()
        self.bn3 = nn.LazyBatchNorm2d()
        self.conv4 = None
        if use_1x1conv:
            self.conv4 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides)
            self.bn4 = nn.LazyBatchNorm2d()

    def forward(self, X):
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = F.relu(self.bn2(self.conv2(Y)))
        Y = self.bn3(self.conv3(Y))
        if self.conv4 is not None:
            X = self.bn4(self.conv4(X))
        return F.relu(Y + X)  # (n, c, h, w) -> (n, num_channels, h / s, w / s)
