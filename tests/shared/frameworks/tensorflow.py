"""What tests need of TensorFlow."""

from d2lext import tensorflow as d2l  # first: it chooses Keras' backend

# isort: split
import keras
import tensorflow as tf
from keras import layers as keras_layers

from d2lext.tensorflow import randomness
from d2lext.tensorflow.module import flatten


class Linear(d2l.Classifier):
    """One dense layer behind dropout and the layers `before`."""

    def __init__(self, *before, lr=0.1, dropout=0.0):
        super().__init__()
        self.lr = lr
        dropped = keras_layers.Dropout(dropout)
        self.net = keras.Sequential(
            [*before, keras_layers.Flatten(), dropped, keras_layers.Dense(10)]
        )


class Regression(d2l.Module):
    """A number from two inputs, by squared error and Adam."""

    def __init__(self):
        super().__init__()
        self.norm = keras_layers.BatchNormalization()
        self.dense = keras_layers.Dense(1)

    def forward(self, A, B):
        return self.dense(self.norm(tf.concat((A, B), axis=1)))

    def loss(self, y_hat, y):
        return tf.reduce_mean((tf.squeeze(y_hat, 1) - tf.cast(y, tf.float32)) ** 2)

    def configure_optimizers(self):
        return adam(self)


class Scratch(d2l.Module):
    """Regression by variables: a weight, biases in a list, and a mean to keep."""

    def __init__(self, lr=0.1):
        super().__init__()
        self.lr = lr
        self.w = keras.Variable(tf.zeros((3, 1)))
        self.biases = [keras.Variable(tf.zeros(1))]
        self.mean = tf.Variable(tf.zeros(3), trainable=False)

    def forward(self, X):
        if self.training:
            self.mean.assign(0.9 * self.mean + 0.1 * tf.reduce_mean(X, 0))
        return (X - self.mean) @ self.w + self.biases[0]

    def loss(self, y_hat, y):
        return tf.reduce_mean((tf.squeeze(y_hat, 1) - y) ** 2)


def adam(model, lr=0.1):
    """The framework's own Adam for a model."""
    return keras.optimizers.Adam(lr)


def schedule(before, after, step):
    """A learning rate that is `after` from a `step` on."""
    values = [before, after]
    return keras.optimizers.schedules.PiecewiseConstantDecay([step - 1], values)


def seed(number):
    """Seed the framework's random numbers, and those of layers made later."""
    randomness.seed(number)  # also where Keras does not restart its own


def drawn():
    """What the framework draws next from its common random numbers."""
    return float(tf.random.uniform(())), float(keras.random.uniform(()))


def first_output(block, X):
    """What a new block makes of its first input."""
    return block(X)


def forward(model, X, training=False):
    """The output of a built model."""
    return model(X, training=training)


def layers(model):
    """The layers of `net` of a built model, in evaluation mode."""
    return model.net.layers


def norms(model):
    """(epsilon, share that stays of a statistic) of each batch normalization."""
    kind = keras_layers.BatchNormalization
    found = [layer for layer in flatten(model) if isinstance(layer, kind)]
    return [(norm.epsilon, norm.momentum) for norm in found]


def weights(model):
    """Copies of a built model's trainable parameters."""
    return [v.numpy() for v in model.trainable_variables]


def statistics(model):
    """Copies of the statistics of a built model's normalization."""
    return [v.numpy() for v in model.non_trainable_variables if "moving" in v.path]


def loader(X, y):
    """The framework's own loader of shuffled batches."""
    return tf.data.Dataset.from_tensor_slices((X, y)).shuffle(len(y)).batch(8)


def gradient(function, x):
    """The gradient, by the array x, of the sum of `function(x)`."""
    x = d2l.tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x).numpy()


def loss(Y_hat, y, **options):
    """A classifier's loss of logits."""
    return d2l.Classifier().loss(Y_hat, y, **options)


def accuracy(Y_hat, y, **options):
    """A classifier's accuracy of logits."""
    return d2l.Classifier().accuracy(Y_hat, y, **options)


def out_of_memory():
    """The exception that the framework raises where memory is exhausted."""
    message = "OOM when allocating tensor"
    return tf.errors.ResourceExhaustedError(None, None, message)


def default_conv(X, c_out, window, strides=1, **padding):
    """A convolution with the framework's defaults: its weights and its output for X."""
    conv = keras_layers.Conv2D(c_out, window, strides, **padding)
    Y = conv(X).numpy()
    return conv.kernel.numpy(), Y
