"""Models in TensorFlow: the base classes that a chapter's networks extend."""

import math
import threading
import warnings
import weakref

import keras
import tensorflow as tf
from keras import layers

from d2lext.core import images
from d2lext.core import module as core
from d2lext.core.densenet import initializers
from d2lext.tensorflow.keras_model import KerasModel

__all__ = ["Module", "Classifier", "init_cnn", "init_he", "num_params", "HeNormal"]


class Module(core.Module, KerasModel):
    """Base of models: a network `net`, a loss and an optimiser."""

    def __init__(self, plot_train_per_epoch=5, plot_valid_per_epoch=1):
        super().__init__(plot_train_per_epoch, plot_valid_per_epoch)
        del self.loss  # Keras' constructor sets it to None, hiding the method

    def __call__(self, X, *args, **kwargs):
        # Here, not in `call`, whose errors Keras buries in a list of arguments.
        images.check(self, X.shape, in_channels, channels_last=True)
        if self.training:
            kwargs.setdefault("training", True)
        return super().__call__(X, *args, **kwargs)

    def __setattr__(self, name, value):
        # Keras trains and saves only its own; d2l's models from scratch make TensorFlow's.
        if isinstance(value, tf.Variable):
            options = {"dtype": value.dtype.name, "trainable": value.trainable}
            value = keras.Variable(value, **options)
        super().__setattr__(name, value)

    @property
    def training(self):
        """True in a training step, and in model(X, training=True), for this thread."""
        return self in _training()

    @training.setter
    def training(self, value):
        (_training().add if value else _training().discard)(self)

    def call(self, X, *args, training=None):
        """`forward`, with `training` as `self.training`.

        Keras passes it on to layers inside, modules included.
        """
        if X.shape.rank == 4 and None in X.shape[1:3]:  # as in an exported model
            least, name = self.min_image_size, type(self).__name__
            rule = f"{name} needs images of at least {least}x{least} pixels"
            tf.debugging.assert_greater_equal(tf.shape(X)[1:3], least, rule)
        before, self.training = self.training, bool(training)
        try:
            return self.forward(X, *args)
        finally:
            self.training = before

    def forward(self, X):
        """The network's output for X."""
        return self.net(X)

    def configure_optimizers(self):
        lr, momentum, weight_decay = self.sgd_options(schedules=True)
        nesterov, decay_all = self.sgd_flags()
        return _SGD(
            lr,
            momentum,
            weight_decay,
            nesterov=nesterov,
            decay_all=decay_all,
            is_scheduled=self.is_scheduled(),
        )

    def compile(self, optimizer="rmsprop", loss=None, **options):
        """Prepare Keras' own `fit`; the method `loss` stays what it is."""
        super().compile(optimizer, loss, **options)
        if loss is not None:
            del self.loss  # Keras' argument, hiding the method

    def compile_from_config(self, config):
        """Compile a loaded model: Keras leaves that to classes with their own `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def apply_init(self, inputs, init=None):
        """Build the layers by a forward pass of `inputs`, then apply `init` to each."""
        self(*inputs)
        if init is not None:
            for layer in flatten(self.net):
                init(layer)


class Classifier(core.Classifier, Module):
    """Base of classifiers: cross-entropy loss and accuracy."""

    def compile(self, optimizer="rmsprop", loss=None, **options):
        """Prepare Keras' own `fit`; warn if `loss` would take logits for probabilities."""
        name = getattr(loss, "name", None) or getattr(loss, "__name__", None) or loss
        ours = type(self).loss is Classifier.loss  # which takes logits
        takes_logits = getattr(loss, "from_logits", False)
        if ours and str(name).endswith("crossentropy") and not takes_logits:
            warnings.warn(
                f"{type(self).__name__} returns logits, got a loss of probabilities: let "
                "it be keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
                stacklevel=2,
            )
        super().compile(optimizer, loss, **options)

    def accuracy(self, Y_hat, Y, averaged=True):
        """The share of correct predictions; if not `averaged`, 0 or 1 for each."""
        if core.check_labels(Y_hat.shape, Y.shape, _are_floats(Y)):
            Y = tf.argmax(Y, axis=-1)
        Y_hat = tf.reshape(Y_hat, (-1, Y_hat.shape[-1]))
        labels = tf.cast(tf.reshape(Y, (-1,)), tf.int64)
        compare = tf.cast(tf.argmax(Y_hat, axis=1) == labels, tf.float32)
        return tf.reduce_mean(compare) if averaged else compare

    def loss(self, Y_hat, Y, averaged=True):
        """The cross-entropy of logits Y_hat (n, classes) and labels Y (n,).

        Y may also be rows of probabilities (n, classes), floats. In training labels are
        smoothed by `label_smoothing`, if the model has it. The loss is NaN if a label is
        not one of the classes.
        """
        are_rows = core.check_labels(Y_hat.shape, Y.shape, _are_floats(Y))
        Y_hat = tf.reshape(Y_hat, (-1, Y_hat.shape[-1]))
        Y = tf.reshape(Y, tf.shape(Y_hat) if are_rows else (-1,))
        l = _cross_entropy(Y_hat, Y, self.smoothing() if self.training else 0)
        return tf.reduce_mean(l) if averaged else l

    def layer_summary(self, X_shape):
        """Print the output shape of each layer of `net` for an input of `X_shape`."""
        images.check(self, X_shape, in_channels, channels_last=True)
        X = tf.random.normal(X_shape)
        for layer in self.net.layers:
            X = layer(X)
            print(f"{type(layer).__name__:<23} {tuple(X.shape)}")


def init_cnn(layer):
    """Xavier-uniform weights and zero biases for a dense or convolutional layer.

    Use it as `model.apply_init(inputs, init_cnn)`. Keras layers start like this unless
    told otherwise. While a trainer builds a model, its seed determines the weights, equal
    in every framework.
    """
    if isinstance(layer, (layers.Dense, layers.Conv2D)):
        _init(layer, GlorotUniform())


def init_he(layer):
    """Like `init_cnn`, but with He's normal distribution for convolutions."""
    if isinstance(layer, layers.Conv2D):
        _init(layer, HeNormal())
    else:
        init_cnn(layer)


def num_params(model):
    """The number of trainable parameters of a built model."""
    # A composite layer counts as built only once called itself, so check its parts.
    if not all(layer.built for layer in flatten(model) if not flatten(layer)[1:]):
        raise ValueError(
            f"{type(model).__name__} has no parameters before its first input: call it "
            "on a batch, or layer_summary(X_shape), then count"
        )
    return sum(math.prod(v.shape) for v in model.trainable_variables)


def in_channels(model):
    """The channels of a network's first convolution; None before its first input."""
    net = getattr(model, "net", None)
    inner = net.layers if isinstance(net, keras.Sequential) else []
    padded = (l for l in inner if not isinstance(l, layers.ZeroPadding2D))
    first = next(padded, None)
    if not isinstance(first, layers.Conv2D) or not first.built:
        return None
    return first.kernel.shape[-2] * first.groups


def flatten(layer):
    """The layer and all layers in it, at any depth."""
    return layer._flatten_layers()  # Keras has no public way to visit every layer


@keras.saving.register_keras_serializable("d2lext")
class GlorotUniform(keras.initializers.GlorotUniform):
    """Xavier's uniform distribution; while a trainer builds a model, from its seed."""

    def __call__(self, shape, dtype=None):
        return _drawn(initializers.xavier_uniform, shape, dtype, super().__call__)


@keras.saving.register_keras_serializable("d2lext")
class HeNormal(keras.initializers.VarianceScaling):
    """Like `GlorotUniform`, but with He's normal distribution, for convolutions."""

    def __init__(self):
        # Not Keras' HeNormal, which truncates the distribution.
        super().__init__(2.0, "fan_in", "untruncated_normal")

    def get_config(self):
        """Empty: it has no options."""
        return {}

    def __call__(self, shape, dtype=None):
        return _drawn(initializers.he_normal, shape, dtype, super().__call__)


@keras.saving.register_keras_serializable("d2lext")
class _SGD(keras.optimizers.SGD):
    """Keras' SGD with the weight decay of the other frameworks.

    Keras' own decay shrinks weights separately from the gradient, thus without momentum.
    Without `decay_all`, arrays of one axis do not decay. If a trainer has a schedule of the
    learning rate, `is_scheduled`, momentum adds up gradients, not steps.
    """

    # Keras would derive a name from the class, whose underscore TensorFlow rejects.
    def __init__(
        self,
        learning_rate,
        momentum,
        l2,
        name="sgd",
        decay_all=True,
        is_scheduled=False,
        **options,
    ):
        super().__init__(learning_rate, momentum, name=name, **options)
        self.l2, self._decay_all, self._is_scheduled = l2, decay_all, is_scheduled

    def get_config(self):
        """Keras' options, the weight decay `l2`, and what is not by default."""
        config = super().get_config() | {"l2": self.l2}
        if not self._decay_all:
            config["decay_all"] = False
        if self._is_scheduled:
            config["is_scheduled"] = True
        return config

    def update_step(self, gradient, variable, learning_rate):
        if self.l2 and (self._decay_all or len(variable.shape) > 1):
            gradient = gradient + self.l2 * variable
        if not (self._is_scheduled and self.momentum):
            super().update_step(gradient, variable, learning_rate)
            return
        # Keras' momentum has the learning rate in it.
        m = self.momentums[self._get_variable_index(variable)]
        self.assign(m, self.momentum * m + gradient)
        step = gradient + self.momentum * m if self.nesterov else m
        self.assign_sub(variable, tf.cast(learning_rate, variable.dtype) * step)


_threads = threading.local()


def _training():
    """The models that are in training mode in this thread."""
    return vars(_threads).setdefault("models", weakref.WeakSet())


def _are_floats(Y):
    return tf.as_dtype(Y.dtype).is_floating


def _cross_entropy(Y_hat, Y, smoothing):
    """The loss of each row of logits, by labels or rows of probabilities."""
    if len(Y.shape) > 1:
        return keras.losses.categorical_crossentropy(
            Y, Y_hat, from_logits=True, label_smoothing=smoothing
        )
    classes = Y_hat.shape[-1]
    labels = tf.clip_by_value(tf.cast(Y, tf.int64), 0, classes - 1)
    if smoothing:
        rows = tf.one_hot(labels, classes, dtype=Y_hat.dtype)
        l = _cross_entropy(Y_hat, rows, smoothing)
    else:
        l = keras.losses.sparse_categorical_crossentropy(
            labels, Y_hat, from_logits=True
        )
    return tf.where(tf.cast(labels, Y.dtype) == Y, l, tf.constant(math.nan, l.dtype))


def _init(layer, initializer):
    layer.kernel_initializer = initializer
    layer.bias_initializer = keras.initializers.Zeros()
    if layer.built:
        kernel = layer.kernel
        kernel.assign(layer.kernel_initializer(kernel.shape, kernel.dtype))
        if layer.use_bias:
            layer.bias.assign(
                layer.bias_initializer(layer.bias.shape, layer.bias.dtype)
            )


def _drawn(draw, shape, dtype, otherwise):
    """Weights (h, w, in, out) or (in, out) from the active seed, if there is one."""
    weights = initializers.draw_hwio(draw, shape)
    if weights is None:
        return otherwise(shape, dtype)
    return tf.constant(weights, dtype or "float32")
