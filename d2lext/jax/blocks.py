"""d2l's blocks from its chapters on convolution, which later chapters reuse.

Images are (n, h, w, c). Batch normalization has epsilon 1e-5; its moving statistics
keep 0.9 of their value at each step.
"""

from collections.abc import Callable

from flax import linen as nn

from d2lext.jax.module import Classifier, init_cnn

__all__ = ["corr2d", "LeNet", "Residual", "ResNeXtBlock"]


def corr2d(X, K):
    """The cross-correlation of a matrix X (h, w) with a kernel K (k, l).

    The result is (h - k + 1, w - l + 1). Gradients pass through. d2l, section 7.2.1.
    """
    k, l = K.shape
    rows, columns = X.shape[0] - k + 1, X.shape[1] - l + 1
    # Loop over the kernel's few elements: JAX copies an array for each element set.
    return sum(
        X[i : i + rows, j : j + columns] * K[i, j] for i in range(k) for j in range(l)
    )


class LeNet(Classifier):
    """LeNet-5 with sigmoids, for images of 28x28 pixels; d2l, section 7.6.

    LeCun et al. (1998), Gradient-based learning applied to document recognition.
    `kernel_init()` is the initializer of all weights.
    """

    lr: float = 0.1
    num_classes: int = 10
    kernel_init: Callable = nn.initializers.xavier_uniform

    def setup(self):
        init = self.kernel_init()

        def avg_pool(X):
            return nn.avg_pool(X, window_shape=(2, 2), strides=(2, 2))

        def flatten(X):
            return X.reshape(len(X), -1)  # (n, 5, 5, 16) -> (n, 400)

        self.net = nn.Sequential([
            nn.Conv(6, kernel_size=(5, 5), padding=(2, 2), kernel_init=init),
            nn.sigmoid,
            avg_pool,
            nn.Conv(16, kernel_size=(5, 5), padding=(0, 0), kernel_init=init),
            nn.sigmoid,
            avg_pool,
            flatten,
            nn.Dense(120, kernel_init=init),
            nn.sigmoid,
            nn.Dense(84, kernel_init=init),
            nn.sigmoid,
            nn.Dense(self.num_classes, kernel_init=init),
        ])  # fmt: skip


class Residual(nn.Module):
    """Two 3x3 convolutions whose output is added to their input; d2l, section 8.6.2.

    He et al. (2016), Deep residual learning for image recognition, section 3.2. With
    `strides` > 1 or a new number of channels, `use_1x1conv` makes the input fit.
    """

    num_channels: int
    use_1x1conv: bool = False
    strides: tuple = (1, 1)
    training: bool = True

    def setup(self):
        self.conv1 = _conv(self.num_channels, 3, self.strides)
        self.conv2 = _conv(self.num_channels, 3)
        self.conv3 = None
        if self.use_1x1conv:
            self.conv3 = _conv(self.num_channels, 1, self.strides)
        self.bn1 = _batch_norm(self.training)
        self.bn2 = _batch_norm(self.training)

    def __call__(self, X):
        Y = nn.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3 is not None:
            X = self.conv3(X)
        return nn.relu(Y + X)  # (n, h, w, c) -> (n, h / s, w / s, num_channels)


class ResNeXtBlock(nn.Module):
    """A residual block whose 3x3 convolution sees groups of channels; d2l, 8.6.5.

    Xie et al. (2017), Aggregated residual transformations for deep neural networks,
    section 3. `bot_mul` is the bottleneck's share of `num_channels`. As in d2l,
    `groups` is the number of channels in a group, not of groups.
    """

    num_channels: int
    groups: int
    bot_mul: float
    use_1x1conv: bool = False
    strides: tuple = (1, 1)
    training: bool = True

    def setup(self):
        bot_channels = int(round(self.num_channels * self.bot_mul))
        self.conv1 = _conv(bot_channels, 1)
        self.conv2 = _conv(
            bot_channels,
            3,
            self.strides,
            feature_group_count=bot_channels // self.groups,
        )
        self.conv3 = _conv(self.num_channels, 1)
        self.bn1 = _batch_norm(self.training)
        self.bn2 = _batch_norm(self.training)
        self.bn3 = _batch_norm(self.training)
        self.conv4 = self.bn4 = None
        if self.use_1x1conv:
            self.conv4 = _conv(self.num_channels, 1, self.strides)
            self.bn4 = _batch_norm(self.training)

    def __call__(self, X):
        Y = nn.relu(self.bn1(self.conv1(X)))
        Y = nn.relu(self.bn2(self.conv2(Y)))
        Y = self.bn3(self.conv3(Y))
        if self.conv4 is not None:
            X = self.bn4(self.conv4(X))
        return nn.relu(Y + X)  # (n, h, w, c) -> (n, h / s, w / s, num_channels)


def _conv(num_channels, size, strides=(1, 1), **kwargs):
    # explicit padding: SAME is asymmetric at stride 2
    return nn.Conv(
        num_channels,
        kernel_size=(size, size),
        strides=strides,
        padding=(size // 2, size // 2),
        kernel_init=init_cnn,
        **kwargs,
    )


def _batch_norm(training):
    return nn.BatchNorm(use_running_average=not training, momentum=0.9, epsilon=1e-5)
