"""Models in TensorFlow: the base classes that a chapter's networks extend."""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import initializers, layers

from d2lext.core.checks import check_image_size
from d2lext.core.densenet import initializers as core
from d2lext.core.hyperparameters import HyperParameters
from d2lext.core.plotting import ProgressBoard


class Module(keras.Model, HyperParameters):
    """Base of models: a network `net`, a loss and an optimiser."""

    min_image_size = 1  # pixels; a network that shrinks its input says more
    training = False  # True in a training step, and in model(X, training=True)

    def __init__(self, plot_train_per_epoch=5, plot_valid_per_epoch=1):
        super().__init__()
        del self.loss  # Keras' constructor sets it to None and hides the method
        self.save_hyperparameters()
        self.board = ProgressBoard()

    def loss(self, y_hat, y):
        """The mean loss of predictions `y_hat` against labels `y`."""
        raise NotImplementedError(f"{type(self).__name__} must define loss(y_hat, y)")

    def __call__(self, X, *args, **kwargs):
        # Here and not in `call`, whose errors Keras wraps in a list of arguments.
        if X.ndim == 4 and None not in X.shape[1:3]:
            check_image_size(X.shape[1:3], self.min_image_size, type(self).__name__)
        if self.training:
            kwargs.setdefault("training", True)
        return super().__call__(X, *args, **kwargs)

    def build(self, X_shape):
        """Nothing: the layers build themselves in the first call, as in PyTorch."""

    def call(self, X, *args, training=None):
        """`forward`, in which `self.training` says whether it is for training.

        Keras hands `training` on to the layers in it, modules included.
        """
        before, self.training = self.training, bool(training)
        try:
            return self.forward(X, *args)
        finally:
            self.training = before

    def forward(self, X):
        """The network's output for X."""
        return self.net(X)

    def plot(self, key, value, train):
        """Hand a scalar of this batch to the trainer, which averages and draws it."""
        self.trainer.log(key, value, train)

    def training_step(self, batch):
        """The mean loss of a minibatch, to be differentiated."""
        l = self.loss(self(*batch[:-1]), batch[-1])
        self.plot("loss", l, train=True)
        return l

    def validation_step(self, batch):
        """Log the loss of a minibatch."""
        self.plot("loss", self.loss(self(*batch[:-1]), batch[-1]), train=False)

    def configure_optimizers(self):
        """Minibatch stochastic gradient descent at the learning rate `self.lr`.

        With `self.momentum` and `self.weight_decay` where the model has them; the
        latter times a weight is added to its gradient.
        """
        momentum = float(getattr(self, "momentum", 0))
        return _SGD(float(self.lr), momentum, getattr(self, "weight_decay", 0))

    def apply_init(self, inputs, init=None):
        """Build the layers by a forward pass of `inputs`, then apply `init` to each."""
        self(*inputs)
        if init is not None:
            for layer in flatten(self.net):
                init(layer)


class Classifier(Module):
    """Base of classifiers: cross-entropy loss and accuracy."""

    def validation_step(self, batch):
        """Log the loss and the accuracy of a minibatch."""
        Y_hat = self(*batch[:-1])
        self.plot("loss", self.loss(Y_hat, batch[-1]), train=False)
        self.plot("acc", self.accuracy(Y_hat, batch[-1]), train=False)

    def accuracy(self, Y_hat, Y, averaged=True):
        """The share of correct predictions, or 0 and 1 for each if not `averaged`."""
        Y_hat = tf.reshape(Y_hat, (-1, Y_hat.shape[-1]))
        preds = tf.cast(tf.argmax(Y_hat, axis=1), Y.dtype)
        compare = tf.cast(preds == tf.reshape(Y, (-1,)), tf.float32)
        return tf.reduce_mean(compare) if averaged else compare

    def loss(self, Y_hat, Y, averaged=True):
        """The cross-entropy of logits Y_hat (n, classes) and labels Y (n,)."""
        Y_hat = tf.reshape(Y_hat, (-1, Y_hat.shape[-1]))
        l = keras.losses.sparse_categorical_crossentropy(
            tf.reshape(Y, (-1,)), Y_hat, from_logits=True
        )
        return tf.reduce_mean(l) if averaged else l

    def layer_summary(self, X_shape):
        """Print the output shape of each layer of `net` for an input of `X_shape`."""
        X = tf.random.normal(X_shape)
        for layer in self.net.layers:
            X = layer(X)
            print(f"{type(layer).__name__:<23} {tuple(X.shape)}")


class GlorotUniform(initializers.GlorotUniform):
    """Xavier's uniform distribution; while a trainer builds a model, from its seed.

    The same seed gives the same weights in every framework.
    """

    def __call__(self, shape, dtype=None):
        return _drawn(core.xavier_uniform, shape, dtype, super().__call__)


class HeNormal(initializers.VarianceScaling):
    """As `GlorotUniform`, but He's normal distribution, meant for convolutions."""

    def __init__(self):
        # Not Keras' HeNormal, which cuts the distribution off.
        super().__init__(2.0, "fan_in", "untruncated_normal")

    def get_config(self):
        """Nothing: it has no options."""
        return {}

    def __call__(self, shape, dtype=None):
        return _drawn(core.he_normal, shape, dtype, super().__call__)


def init_cnn(layer):
    """Xavier-uniform weights and zero biases for a dense or convolutional layer.

    Use it as `model.apply_init(inputs, init_cnn)`. Layers of Keras start like this
    unless they are told otherwise.
    """
    if isinstance(layer, (layers.Dense, layers.Conv2D)):
        _init(layer, GlorotUniform())


def init_he(layer):
    """As `init_cnn`, but with He's normal distribution for convolutions."""
    if isinstance(layer, layers.Conv2D):
        _init(layer, HeNormal())
    else:
        init_cnn(layer)


class _SGD(keras.optimizers.SGD):
    """Keras' SGD with the weight decay of the other frameworks.

    Keras' own shrinks weights apart from the gradient, hence without momentum.
    """

    def __init__(self, learning_rate, momentum, l2):
        # Keras makes a name of the class's, whose underscore TensorFlow rejects.
        super().__init__(learning_rate, momentum, name="sgd")
        self.l2 = l2

    def update_step(self, gradient, variable, learning_rate):
        if self.l2:
            gradient = gradient + self.l2 * variable
        super().update_step(gradient, variable, learning_rate)


def _init(layer, initializer):
    layer.kernel_initializer = initializer
    layer.bias_initializer = initializers.Zeros()
    if layer.built:
        layer.kernel.assign(layer.kernel_initializer(layer.kernel.shape))
        if layer.use_bias:
            layer.bias.assign(layer.bias_initializer(layer.bias.shape))


def _drawn(draw, shape, dtype, otherwise):
    """Weights (h, w, in, out) or (in, out) from the seed that is in force, if any."""
    rng = core.generator()
    if rng is None:
        return otherwise(shape, dtype)
    *window, c_in, c_out = shape
    weights = draw((c_out, c_in, *window), rng)
    return tf.constant(np.moveaxis(weights, (1, 0), (-2, -1)), dtype or "float32")


def num_params(model):
    """The number of trainable parameters of a built model."""
    # A composite layer counts as built only when called itself; its parts tell.
    if not all(layer.built for layer in flatten(model) if not flatten(layer)[1:]):
        raise ValueError(
            f"{type(model).__name__} has no parameters before its first input: call it "
            "on a batch, or layer_summary(X_shape), then count"
        )
    return sum(math.prod(v.shape) for v in model.trainable_variables)


def flatten(layer):
    """The layer and all layers in it, at any depth."""
    return layer._flatten_layers()  # Keras has no public way that enters every layer
