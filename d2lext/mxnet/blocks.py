"""d2l's blocks from its chapters on convolution, which later chapters reuse.

Images are (n, c, h, w). Batch normalization has epsilon 1e-5; its moving statistics
keep 0.9 of their value at each step.
"""

from mxnet import init, np
from mxnet.gluon import nn

from d2lext.mxnet.module import Classifier

__all__ = ["corr2d", "LeNet", "Residual", "ResNeXtBlock"]


def corr2d(X, K):
    """The cross-correlation of a matrix X (h, w) with a kernel K (k, l).

    The result is (h - k + 1, w - l + 1). Gradients pass through. d2l, section 7.2.1.
    """
    k, l = K.shape
    rows, columns = X.shape[0] - k + 1, X.shape[1] - l + 1
    # Stacked, not assigned to an array of zeros: MXNet does not record assignments.
    windows = [X[i : i + k, j : j + l] for i in range(rows) for j in range(columns)]
    return np.stack([(window * K).sum() for window in windows]).reshape(rows, columns)


class LeNet(Classifier):
    """LeNet-5 with sigmoids, for images of 28x28 pixels; d2l, section 7.6.

    LeCun et al. (1998), Gradient-based learning applied to document recognition.
    """

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.HybridSequential()
        self.net.add(
            nn.Conv2D(6, kernel_size=5, padding=2, activation="sigmoid"),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Conv2D(16, kernel_size=5, activation="sigmoid"),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Dense(120, activation="sigmoid"),  # (n, 16, 5, 5) -> (n, 120)
            nn.Dense(84, activation="sigmoid"),
            nn.Dense(num_classes),
        )
        self.net.initialize(init.Xavier())


class Residual(nn.HybridBlock):
    """Two 3x3 convolutions whose output is added to their input; d2l, section 8.6.2.

    He et al. (2016), Deep residual learning for image recognition, section 3.2. With
    `strides` > 1 or a new number of channels, `use_1x1conv` makes the input fit.
    """

    def __init__(self, num_channels, use_1x1conv=False, strides=1, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = nn.Conv2D(num_channels, kernel_size=3, padding=1, strides=strides)
        self.conv2 = nn.Conv2D(num_channels, kernel_size=3, padding=1)
        self.conv3 = None
        if use_1x1conv:
            self.conv3 = nn.Conv2D(num_channels, kernel_size=1, strides=strides)
        self.bn1 = nn.BatchNorm(epsilon=1e-5, momentum=0.9)
        self.bn2 = nn.BatchNorm(epsilon=1e-5, momentum=0.9)

    def hybrid_forward(self, F, X):
        Y = F.npx.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3 is not None:
            X = self.conv3(X)
        return F.npx.relu(Y + X)  # (n, c, h, w) -> (n, num_channels, h / s, w / s)


class ResNeXtBlock(nn.HybridBlock):
    """A residual block whose 3x3 convolution sees groups of channels; d2l, 8.6.5.

    Xie et al. (2017), Aggregated residual transformations for deep neural networks,
    section 3. `bot_mul` is the bottleneck's share of `num_channels`. As in d2l,
    `groups` is the number of channels in a group, not of groups.
    """

    def __init__(
        self, num_channels, groups, bot_mul, use_1x1conv=False, strides=1, **kwargs
    ):
        super().__init__(**kwargs)
        bot_channels = int(round(num_channels * bot_mul))
        self.conv1 = nn.Conv2D(bot_channels, kernel_size=1)
        self.conv2 = nn.Conv2D(
            bot_channels,
            kernel_size=3,
            padding=1,
            strides=strides,
            groups=bot_channels // groups,
        )
        self.conv3 = nn.Conv2D(num_channels, kernel_size=1)
        self.bn1 = nn.BatchNorm(epsilon=1e-5, momentum=0.9)
        self.bn2 = nn.BatchNorm(epsilon=1e-5, momentum=0.9)
        self.bn3 = nn.BatchNorm(epsilon=1e-5, momentum=0.9)
        self.conv4 = self.bn4 = None
        if use_1x1conv:
            self.conv4 = nn.Conv2D(num_channels, kernel_size=1, strides=strides)
            self.bn4 = nn.BatchNorm(epsilon=1e-5, momentum=0.9)

    def hybrid_forward(self, F, X):
        Y = F.npx.relu(self.bn1(self.conv1(X)))
        Y = F.npx.relu(self.bn2(self.conv2(Y)))
        Y = self.bn3(self.conv3(Y))
        if self.conv4 is not None:
            X = self.bn4(self.conv4(X))
        return F.npx.relu(Y + X)  # (n, c, h, w) -> (n, num_channels, h / s, w / s)
