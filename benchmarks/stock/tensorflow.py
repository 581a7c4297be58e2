"""d2l's DenseNet, data and training loop in TensorFlow."""

import tensorflow as tf

from benchmarks.stock import tfdata

VERSIONS = ("tensorflow", "keras")


class ConvBlock(tf.keras.layers.Layer):
    def __init__(self, num_channels):
        super().__init__()
        self.bn = tf.keras.layers.BatchNormalization()
        self.relu = tf.keras.layers.ReLU()
        self.conv = tf.keras.layers.Conv2D(num_channels, (3, 3), padding="same")
        # Repair: d2l loops over the `.layers` of a list, which Keras 3 does not provide.
        self.list_layers = [self.bn, self.relu, self.conv]

    def call(self, x):
        y = x
        for layer in self.list_layers:
            y = layer(y)
        return tf.keras.layers.concatenate([x, y], axis=-1)


class DenseBlock(tf.keras.layers.Layer):
    def __init__(self, num_convs, num_channels):
        super().__init__()
        self.list_layers = [ConvBlock(num_channels) for _ in range(num_convs)]

    def call(self, x):
        for layer in self.list_layers:
            x = layer(x)
        return x


class TransitionBlock(tf.keras.layers.Layer):
    def __init__(self, num_channels):
        super().__init__()
        self.batch_norm = tf.keras.layers.BatchNormalization()
        self.relu = tf.keras.layers.ReLU()
        self.conv = tf.keras.layers.Conv2D(num_channels, kernel_size=1)
        self.avg_pool = tf.keras.layers.AvgPool2D(pool_size=2, strides=2)

    def call(self, x):
        x = self.batch_norm(x)
        x = self.relu(x)
        x = self.conv(x)
        return self.avg_pool(x)


class DenseNet(tf.keras.Model):
    def __init__(self, num_channels=64, growth_rate=32, arch=(4, 4, 4, 4), lr=0.01):
        super().__init__()
        self.lr = lr
        stem = tf.keras.Sequential(
            [
                tf.keras.layers.Conv2D(64, kernel_size=7, strides=2, padding="same"),
                tf.keras.layers.BatchNormalization(),
                tf.keras.layers.ReLU(),
                tf.keras.layers.MaxPool2D(pool_size=3, strides=2, padding="same"),
            ]
        )
        # Repair: Keras 3 requires a list where d2l passes the stem itself.
        self.net = tf.keras.Sequential([stem])
        for i, num_convs in enumerate(arch):
            self.net.add(DenseBlock(num_convs, growth_rate))
            num_channels += num_convs * growth_rate
            if i != len(arch) - 1:
                num_channels //= 2
                self.net.add(TransitionBlock(num_channels))
        self.net.add(tf.keras.layers.BatchNormalization())
        self.net.add(tf.keras.layers.ReLU())
        self.net.add(tf.keras.layers.GlobalAvgPool2D())
        self.net.add(tf.keras.layers.Flatten())
        self.net.add(tf.keras.layers.Dense(10))

    def call(self, X):
        return self.net(X)

    def training_step(self, batch):
        X, y = batch
        fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        # As in d2l, without training=True: BatchNorm uses its moving statistics, which
        # is less work than in the other three frameworks, and never updates them.
        l = fn(y, self(X))
        self.plotted = l.numpy()
        return l


class Trainer:
    def __init__(self, model, data, batch_size):
        self.model, self.data, self.batch_size = model, data, batch_size
        self.optim = tf.keras.optimizers.SGD(model.lr)

    def batches(self):
        return iter(self.data)

    def step(self, batch):
        with tf.GradientTape() as tape:
            loss = self.model.training_step(batch)
        grads = tape.gradient(loss, self.model.trainable_variables)
        self.optim.apply_gradients(
            zip(grads, self.model.trainable_variables, strict=True)
        )

    def wait(self):
        """Do nothing: a step returns when it is finished."""


def start(images, labels, batch_size=128, resize=(96, 96)):
    data = tfdata.batches(images, labels, batch_size, resize)
    return Trainer(DenseNet(), data, batch_size)


def num_params(trainer):
    return sum(v.shape.num_elements() for v in trainer.model.trainable_variables)
