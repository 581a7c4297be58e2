"""The networks of d2l's convolutional chapters in TensorFlow, with fewer channels.

They are written as a notebook writes them, against TensorFlow and d2l alone.
"""

from d2lext import tensorflow as d2l  # first: it chooses Keras' backend

# isort: split
import tensorflow as tf


class AlexNet(d2l.Classifier):
    """d2l, section 8.1."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = tf.keras.models.Sequential(
            [
                tf.keras.layers.ZeroPadding2D(1),
                tf.keras.layers.Conv2D(16, 11, strides=4, activation="relu"),
                tf.keras.layers.MaxPool2D(pool_size=3, strides=2),
                tf.keras.layers.Conv2D(32, 5, padding="same", activation="relu"),
                tf.keras.layers.MaxPool2D(pool_size=3, strides=2),
                tf.keras.layers.Conv2D(48, 3, padding="same", activation="relu"),
                tf.keras.layers.Conv2D(48, 3, padding="same", activation="relu"),
                tf.keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
                tf.keras.layers.MaxPool2D(pool_size=3, strides=2),
                tf.keras.layers.Flatten(),
                tf.keras.layers.Dense(64, activation="relu"),
                tf.keras.layers.Dropout(0.5),
                tf.keras.layers.Dense(64, activation="relu"),
                tf.keras.layers.Dropout(0.5),
                tf.keras.layers.Dense(num_classes),
            ]
        )


def vgg_block(num_convs, num_channels):
    """3x3 convolutions, then half the height and width."""
    block = tf.keras.models.Sequential()
    for _ in range(num_convs):
        block.add(
            tf.keras.layers.Conv2D(num_channels, 3, padding="same", activation="relu")
        )
    block.add(tf.keras.layers.MaxPool2D(pool_size=2, strides=2))
    return block


class VGG(d2l.Classifier):
    """d2l, section 8.2: VGG-11."""

    def __init__(self, arch, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = tf.keras.models.Sequential()
        for num_convs, num_channels in arch:
            self.net.add(vgg_block(num_convs, num_channels))
        self.net.add(
            tf.keras.models.Sequential(
                [
                    tf.keras.layers.Flatten(),
                    tf.keras.layers.Dense(64, activation="relu"),
                    tf.keras.layers.Dropout(0.5),
                    tf.keras.layers.Dense(64, activation="relu"),
                    tf.keras.layers.Dropout(0.5),
                    tf.keras.layers.Dense(num_classes),
                ]
            )
        )


def nin_block(num_channels, kernel_size, strides, padding):
    """A convolution, then a small network of two layers in each pixel."""
    return tf.keras.models.Sequential(
        [
            tf.keras.layers.Conv2D(num_channels, kernel_size, strides, padding),
            tf.keras.layers.Activation("relu"),
            tf.keras.layers.Conv2D(num_channels, 1),
            tf.keras.layers.Activation("relu"),
            tf.keras.layers.Conv2D(num_channels, 1),
            tf.keras.layers.Activation("relu"),
        ]
    )


class NiN(d2l.Classifier):
    """d2l, section 8.3."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = tf.keras.models.Sequential(
            [
                nin_block(16, kernel_size=11, strides=4, padding="valid"),
                tf.keras.layers.MaxPool2D(pool_size=3, strides=2),
                nin_block(32, kernel_size=5, strides=1, padding="same"),
                tf.keras.layers.MaxPool2D(pool_size=3, strides=2),
                nin_block(48, kernel_size=3, strides=1, padding="same"),
                tf.keras.layers.MaxPool2D(pool_size=3, strides=2),
                tf.keras.layers.Dropout(0.5),
                nin_block(num_classes, kernel_size=3, strides=1, padding="same"),
                tf.keras.layers.GlobalAvgPool2D(),
                tf.keras.layers.Flatten(),
            ]
        )


class Inception(tf.keras.Model):
    """Four paths side by side, whose channels are joined."""

    def __init__(self, c1, c2, c3, c4):
        super().__init__()
        self.b1_1 = tf.keras.layers.Conv2D(c1, 1, activation="relu")
        self.b2_1 = tf.keras.layers.Conv2D(c2[0], 1, activation="relu")
        self.b2_2 = tf.keras.layers.Conv2D(c2[1], 3, padding="same", activation="relu")
        self.b3_1 = tf.keras.layers.Conv2D(c3[0], 1, activation="relu")
        self.b3_2 = tf.keras.layers.Conv2D(c3[1], 5, padding="same", activation="relu")
        self.b4_1 = tf.keras.layers.MaxPool2D(3, 1, padding="same")
        self.b4_2 = tf.keras.layers.Conv2D(c4, 1, activation="relu")

    def call(self, X):
        paths = (
            self.b1_1(X),
            self.b2_2(self.b2_1(X)),
            self.b3_2(self.b3_1(X)),
            self.b4_2(self.b4_1(X)),
        )
        return tf.keras.layers.Concatenate()(paths)


class GoogLeNet(d2l.Classifier):
    """d2l, section 8.4; each stage is a method that is added to the class later."""


@d2l.add_to_class(GoogLeNet)
def stem(self):
    return tf.keras.models.Sequential(
        [
            tf.keras.layers.Conv2D(16, 7, strides=2, padding="same", activation="relu"),
            tf.keras.layers.MaxPool2D(pool_size=3, strides=2, padding="same"),
            tf.keras.layers.Conv2D(16, 1, activation="relu"),
            tf.keras.layers.Conv2D(48, 3, padding="same", activation="relu"),
            tf.keras.layers.MaxPool2D(pool_size=3, strides=2, padding="same"),
        ]
    )


@d2l.add_to_class(GoogLeNet)
def stage(self, *blocks):
    return tf.keras.models.Sequential([Inception(*channels) for channels in blocks])


@d2l.add_to_class(GoogLeNet)
def __init__(self, lr=0.1, num_classes=10):
    super(GoogLeNet, self).__init__()
    self.save_hyperparameters()
    narrow, wide = (8, (8, 16), (8, 8), 8), (16, (8, 32), (8, 16), 8)
    self.net = tf.keras.models.Sequential(
        [
            self.stem(),
            self.stage(narrow, wide),
            tf.keras.layers.MaxPool2D(pool_size=3, strides=2, padding="same"),
            self.stage(narrow, narrow, narrow, wide, wide),
            tf.keras.layers.MaxPool2D(pool_size=3, strides=2, padding="same"),
            self.stage(wide, wide),
            tf.keras.layers.GlobalAvgPool2D(),
            tf.keras.layers.Dense(num_classes),
        ]
    )


def batch_norm(X, gamma, beta, mean, var, eps):
    """X normalized, then scaled by `gamma` and moved by `beta`."""
    return gamma * (X - mean) / tf.sqrt(var + eps) + beta


class BatchNorm(tf.keras.layers.Layer):
    """Batch normalization by hand, over the last axis of matrices or images."""

    def build(self, input_shape):
        shape = [input_shape[-1]]
        self.gamma = self.add_weight(
            name="gamma", shape=shape, initializer=tf.initializers.ones
        )
        self.beta = self.add_weight(
            name="beta", shape=shape, initializer=tf.initializers.zeros
        )
        self.moving_mean = self.add_weight(
            name="moving_mean",
            shape=shape,
            initializer=tf.initializers.zeros,
            trainable=False,
        )
        self.moving_var = self.add_weight(
            name="moving_var",
            shape=shape,
            initializer=tf.initializers.ones,
            trainable=False,
        )
        super().build(input_shape)

    def assign_moving_average(self, variable, value, momentum=0.9):
        variable.assign(momentum * variable + (1 - momentum) * value)

    @tf.function
    def call(self, X, training=None):
        if training:
            axes = list(range(len(X.shape) - 1))
            mean = d2l.reduce_mean(X, axes)
            var = d2l.reduce_mean((X - mean) ** 2, axes)
            self.assign_moving_average(self.moving_mean, mean)
            self.assign_moving_average(self.moving_var, var)
        else:
            mean, var = self.moving_mean, self.moving_var
        return batch_norm(X, self.gamma, self.beta, mean, var, eps=1e-5)


class BNLeNetScratch(d2l.Classifier):
    """d2l, section 8.5.4."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = tf.keras.models.Sequential(
            [
                tf.keras.layers.Conv2D(6, kernel_size=5),
                BatchNorm(),
                tf.keras.layers.Activation("sigmoid"),
                tf.keras.layers.AvgPool2D(pool_size=2, strides=2),
                tf.keras.layers.Conv2D(16, kernel_size=5),
                BatchNorm(),
                tf.keras.layers.Activation("sigmoid"),
                tf.keras.layers.AvgPool2D(pool_size=2, strides=2),
                tf.keras.layers.Flatten(),
                tf.keras.layers.Dense(120),
                BatchNorm(),
                tf.keras.layers.Activation("sigmoid"),
                tf.keras.layers.Dense(84),
                BatchNorm(),
                tf.keras.layers.Activation("sigmoid"),
                tf.keras.layers.Dense(num_classes),
            ]
        )


class BNLeNet(d2l.Classifier):
    """d2l, section 8.5.6."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = tf.keras.models.Sequential(
            [
                tf.keras.layers.Conv2D(6, kernel_size=5),
                tf.keras.layers.BatchNormalization(),
                tf.keras.layers.Activation("sigmoid"),
                tf.keras.layers.AvgPool2D(pool_size=2, strides=2),
                tf.keras.layers.Conv2D(16, kernel_size=5),
                tf.keras.layers.BatchNormalization(),
                tf.keras.layers.Activation("sigmoid"),
                tf.keras.layers.AvgPool2D(pool_size=2, strides=2),
                tf.keras.layers.Flatten(),
                tf.keras.layers.Dense(120),
                tf.keras.layers.BatchNormalization(),
                tf.keras.layers.Activation("sigmoid"),
                tf.keras.layers.Dense(84),
                tf.keras.layers.BatchNormalization(),
                tf.keras.layers.Activation("sigmoid"),
                tf.keras.layers.Dense(num_classes),
            ]
        )


class ResNet(d2l.Classifier):
    """d2l, section 8.6.3: ResNet-18."""

    def block(self, num_residuals, num_channels, first_block=False):
        block = tf.keras.models.Sequential()
        for i in range(num_residuals):
            if i == 0 and not first_block:
                block.add(d2l.Residual(num_channels, use_1x1conv=True, strides=2))
            else:
                block.add(d2l.Residual(num_channels))
        return block

    def __init__(self, arch, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = tf.keras.models.Sequential(
            [
                tf.keras.layers.Conv2D(arch[0][1], 7, strides=2, padding="same"),
                tf.keras.layers.BatchNormalization(),
                tf.keras.layers.Activation("relu"),
                tf.keras.layers.MaxPool2D(pool_size=3, strides=2, padding="same"),
            ]
        )
        for i, (num_residuals, num_channels) in enumerate(arch):
            self.net.add(self.block(num_residuals, num_channels, first_block=(i == 0)))
        self.net.add(tf.keras.layers.GlobalAvgPool2D())
        self.net.add(tf.keras.layers.Dense(units=num_classes))


class AnyNet(d2l.Classifier):
    """d2l, section 8.8.1: stem, stages of ResNeXt blocks, head."""

    def stem(self, num_channels):
        return tf.keras.models.Sequential(
            [
                tf.keras.layers.Conv2D(num_channels, 3, strides=2, padding="same"),
                tf.keras.layers.BatchNormalization(),
                tf.keras.layers.Activation("relu"),
            ]
        )

    def stage(self, depth, num_channels, groups, bot_mul):
        net = tf.keras.models.Sequential()
        net.add(
            d2l.ResNeXtBlock(num_channels, groups, bot_mul, use_1x1conv=True, strides=2)
        )
        for _ in range(depth - 1):
            net.add(d2l.ResNeXtBlock(num_channels, groups, bot_mul))
        return net

    def __init__(self, arch, stem_channels, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = tf.keras.models.Sequential()
        self.net.add(self.stem(stem_channels))
        for stage in arch:
            self.net.add(self.stage(*stage))
        self.net.add(tf.keras.layers.GlobalAvgPool2D())
        self.net.add(tf.keras.layers.Dense(units=num_classes))


class ResNeXt(AnyNet):
    """d2l, section 8.6.5: bottlenecks of half the channels, in groups of 4."""

    def __init__(self, lr=0.1, num_classes=10):
        arch = ((2, 16, 4, 0.5), (2, 32, 4, 0.5))
        super().__init__(arch, 16, lr, num_classes)


class RegNet(AnyNet):
    """d2l, section 8.8.3: no bottleneck, groups of 8, deeper and wider stages."""

    def __init__(self, lr=0.1, num_classes=10):
        arch = ((4, 16, 8, 1), (6, 40, 8, 1))
        super().__init__(arch, 16, lr, num_classes)


VGG11 = ((1, 8), (1, 16), (2, 32), (2, 64), (2, 64))
RESNET18 = ((2, 8), (2, 16), (2, 32), (2, 64))

NETWORKS = {
    "LeNet": lambda: d2l.LeNet(lr=0.5),
    "AlexNet": lambda: AlexNet(lr=0.1),
    "VGG": lambda: VGG(VGG11, lr=0.1),
    "NiN": lambda: NiN(lr=0.15),
    "GoogLeNet": lambda: GoogLeNet(lr=0.2),
    "BNLeNetScratch": lambda: BNLeNetScratch(lr=0.1),
    "BNLeNet": lambda: BNLeNet(lr=0.1),
    "ResNet": lambda: ResNet(RESNET18, lr=0.1),
    "ResNeXt": lambda: ResNeXt(lr=0.1),
    "DenseNet": lambda: d2l.DenseNet(8, 4, arch=(2, 2, 2, 2), lr=0.1),
    "RegNet": lambda: RegNet(lr=0.1),
}
