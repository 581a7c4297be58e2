"""d2l's blocks from its chapters on convolution, which later chapters reuse.

Images are (n, h, w, c). Batch normalization has epsilon 1e-5; its moving statistics
keep 0.9 of their value at each step.
"""

import keras
import tensorflow as tf
from keras import layers

from d2lext.tensorflow.keras_model import KerasModel
from d2lext.tensorflow.module import Classifier

__all__ = ["corr2d", "LeNet", "Residual", "ResNeXtBlock"]


def corr2d(X, K):
    """The cross-correlation of a matrix X (h, w) with a kernel K (k, l).

    The result is (h - k + 1, w - l + 1). Gradients pass through. d2l, section 7.2.1.
    """
    k, l = K.shape
    rows, columns = X.shape[0] - k + 1, X.shape[1] - l + 1
    # Stacked, not assigned to a variable: gradients do not pass through assignments.
    windows = [X[i : i + k, j : j + l] for i in range(rows) for j in range(columns)]
    return tf.reshape([tf.reduce_sum(X * K) for X in windows], (rows, columns))


class LeNet(Classifier):
    """LeNet-5 with sigmoids, for images of 28x28 pixels; d2l, section 7.6.

    LeCun et al. (1998), Gradient-based learning applied to document recognition.
    """

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = keras.Sequential(
            [
                layers.Conv2D(6, kernel_size=5, padding="same", activation="sigmoid"),
                layers.AveragePooling2D(pool_size=2, strides=2),
                layers.Conv2D(16, kernel_size=5, activation="sigmoid"),
                layers.AveragePooling2D(pool_size=2, strides=2),
                layers.Flatten(),
                layers.Dense(120, activation="sigmoid"),  # (n, 400) -> (n, 120)
                layers.Dense(84, activation="sigmoid"),
                layers.Dense(num_classes),
            ]
        )


class Residual(KerasModel):
    """Two 3x3 convolutions whose output is added to their input; d2l, section 8.6.2.

    He et al. (2016), Deep residual learning for image recognition, section 3.2. With
    `strides` > 1 or a new number of channels, `use_1x1conv` makes the input fit.
    """

    def __init__(self, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        # Explicit padding: "same" pads a stride of 2 on one side more.
        self.pad = layers.ZeroPadding2D(1)
        self.conv1 = layers.Conv2D(num_channels, kernel_size=3, strides=strides)
        self.conv2 = layers.Conv2D(num_channels, kernel_size=3, padding="same")
        self.conv3 = None
        if use_1x1conv:
            self.conv3 = layers.Conv2D(num_channels, kernel_size=1, strides=strides)
        self.bn1 = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        self.bn2 = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)

    def call(self, X):
        Y = tf.nn.relu(self.bn1(self.conv1(self.pad(X))))
        Y = self.bn2(self.conv2(Y))
        if self.conv3 is not None:
            X = self.conv3(X)
        return tf.nn.relu(Y + X)  # (n, h, w, c) -> (n, h / s, w / s, num_channels)


class ResNeXtBlock(KerasModel):
    """A residual block whose 3x3 convolution sees groups of channels; d2l, 8.6.5.

    Xie et al. (2017), Aggregated residual transformations for deep neural networks,
    section 3. `bot_mul` is the bottleneck's share of `num_channels`. As in d2l,
    `groups` is the number of channels in a group, not of groups.
    """

    def __init__(self, num_channels, groups, bot_mul, use_1x1conv=False, strides=1):
        super().__init__()
        bot_channels = int(round(num_channels * bot_mul))
        self.conv1 = layers.Conv2D(bot_channels, kernel_size=1)
        # Explicit padding: "same" pads a stride of 2 on one side more.
        self.pad = layers.ZeroPadding2D(1)
        self.conv2 = GroupedConv2D(
            bot_channels,
            kernel_size=3,
            strides=strides,
            groups=bot_channels // groups,
        )
        self.conv3 = layers.Conv2D(num_channels, kernel_size=1)
        self.bn1 = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        self.bn2 = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        self.bn3 = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        self.conv4 = self.bn4 = None
        if use_1x1conv:
            self.conv4 = layers.Conv2D(num_channels, kernel_size=1, strides=strides)
            self.bn4 = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)

    def call(self, X):
        Y = tf.nn.relu(self.bn1(self.conv1(X)))
        Y = tf.nn.relu(self.bn2(self.conv2(self.pad(Y))))
        Y = self.bn3(self.conv3(Y))
        if self.conv4 is not None:
            X = self.bn4(self.conv4(X))
        return tf.nn.relu(Y + X)  # (n, h, w, c) -> (n, h / s, w / s, num_channels)


class GroupedConv2D(layers.Conv2D):
    """Keras' layer, computed group by group.

    TensorFlow cannot train a grouped convolution on a CPU, so Keras has XLA compile each
    call: a step is then far slower, and the compiler prints warnings.
    """

    def convolution_op(self, X, kernel):
        Xs, kernels = (tf.split(a, self.groups, axis=-1) for a in (X, kernel))
        Ys = map(super().convolution_op, Xs, kernels)
        return tf.concat(list(Ys), axis=-1)
