"""The training loop's steps in TensorFlow."""

import contextlib
import functools
import math
import random

import keras
import numpy as np
import tensorflow as tf

# TensorFlow has no public way back.
from tensorflow.python.framework import config

from d2lext.core.checks import check_mean
from d2lext.core.densenet import initializers
from d2lext.core.frameworks import FRAMEWORKS
from d2lext.core.machine import processor
from d2lext.core.training import rate
from d2lext.core.training.traced import Traced
from d2lext.tensorflow import (
    accelerators,
    device,
    penalties,
    randomness,
    settings,
    variables,
)
from d2lext.tensorflow.batchnorm import values_per_channel
from d2lext.tensorflow.module import GlorotUniform, HeNormal, flatten
from d2lext.tensorflow.speed import normalization, precision, xla
from d2lext.tensorflow.state import State


class Trainer(State):
    """Fit a model on one GPU or on the CPU.

    As in Keras' own `fit`, a training step minimises what layers add to the loss as well,
    by regularisers or `add_loss`, unless the model's `loss` reads it from `losses` and
    adds it itself. Like weight decay, it is not in the loss that is logged. An optimiser
    with `use_ema` leaves the model with averaged weights, after the last epoch.

    A step is compiled again when numbers, flags or words have changed that a reader's model
    reads in its methods: attributes of its own or the trainer's. Whatever else Python reads
    stays as in the first step, such as options of Keras' layers and global variables.

    Resumed from a checkpoint, Keras' random numbers go on, also those without a seed. Those
    of `tf.random` go on in a step that is not compiled; in a compiled one they begin anew.
    """

    distributions = FRAMEWORKS["tensorflow"].modules
    devices = device
    # What Keras makes has its weights, or a random seed, in it.
    layers = (
        keras.layers.Layer,
        keras.initializers.Initializer,
        keras.optimizers.Optimizer,
    )
    optimizer_methods = {"apply_gradients": 1}

    def find_gpus(self, num_gpus):
        """At most `num_gpus` of the machine's GPUs, else that of a `with device:`."""
        entered = device.entered()
        is_gpu = entered is not None and bool(accelerators.details(entered))
        return super().find_gpus(num_gpus) or [entered] * is_gpu

    def find_device(self):
        """The first of `gpus`, else that of an enclosing `with device:`, else the CPU."""
        return self.gpus[0] if self.gpus else device.entered() or device.cpu()

    def fastest(self):
        """bf16 if the hardware multiplies it; compiled."""
        has_bf16 = (
            accelerators.multiplies_bf16(self.gpus[0])
            if self.gpus
            else processor.has_bfloat16()
        )
        return "bf16" if has_bf16 else "fp32", True

    def framework_kept(self):
        """A context after which TensorFlow's and Keras' random numbers go on as before."""
        return randomness.kept()

    def seed_framework(self):
        """Seed the random numbers of TensorFlow and Keras, Python's and NumPy's."""
        randomness.seed(self.seed)

    def prepare_model(self, model):
        """Build the model on the device; its two steps are compiled on first use."""
        super().prepare_model(model)
        settings.check_layers(flatten(model))
        batch = self.sample
        drawn = _seed_layers(model, self.seed)
        with self.device:
            model(*(a[:1] for a in batch[:-1]))
            with initializers.seeded(self.seed):
                # Not by Keras, which calls an initialiser repeatedly, in its own order.
                # Another network's layers, such as a discriminator's, may have no input.
                for layer in filter(lambda layer: layer.built, drawn):
                    layer.kernel.assign(layer.kernel_initializer(layer.kernel.shape))
        # An old value of Python's may come back: a few functions are kept.
        self._function = functools.lru_cache(32)(self._compile)
        self._traced = Traced(self, self._layers())

    def prepare_optimizer(self):
        """Make the optimiser with its variables, which a compiled step cannot make."""
        variables.check(self.model)
        if not self.model.trainable_variables:
            raise self.nothing_trains("set trainable = True in what is to train")
        with self.device, settings.ours():  # of the type of the learning rate
            super().prepare_optimizer()
        if isinstance(self.optim, keras.optimizers.Optimizer):
            with self.device:
                self.optim.build(self.model.trainable_variables)
        self._rates, self._factor = [], None
        if self.schedule is not None:
            self._rates = _rates(self.optim)
            with self.device:  # a number would be compiled in
                self._factor = tf.Variable(1.0, trainable=False)

    def train_step(self, batch):
        """Forward, backward, one step of the optimiser."""
        with self.device, settings.full_float32:
            if self._factor is not None:
                self._factor.assign(rate.factor(self))
            if self.average.keep is not None:
                self._keep.assign(self.average.keep)
            return self._run(self._train, batch)

    def eval_step(self, batch):
        """Validate in evaluation mode, without gradients."""
        with self.device, settings.full_float32:
            return self._run(self._eval, batch)

    def try_out(self, function):
        """Call a function of the step only for its exception; nothing of it stays."""
        tf.function(function, autograph=False).get_concrete_function()

    def finish(self):
        """Let Keras' optimiser give the model the averages that it has kept."""
        if isinstance(self.optim, keras.optimizers.Optimizer):
            self.optim.finalize_variable_values(self.model.trainable_variables)

    def numpy(self, tensor):
        """A tensor of a batch as a NumPy array."""
        return np.asarray(tensor)

    def output_shape(self, batch):
        """The shape of the model's output for a batch on the device."""
        with self.device:
            return self.model(*batch[:-1]).shape

    def values_per_channel(self, batch):
        """How many values each batch normalization averages in training on a batch."""
        with self.device:
            return values_per_channel(self.model, batch[:-1])

    def weights_are_finite(self):
        """Whether no number that training changes is NaN or infinite; waits for them."""
        weights = self.model.trainable_variables + [
            v for v in self.model.non_trainable_variables if "moving_" in v.path
        ]
        return all(np.isfinite(v.numpy()).all() for v in weights)

    def clip_gradients(self, grad_clip_val, grads):
        """The gradients, scaled down to a joint norm of at most `grad_clip_val`."""
        return tf.clip_by_global_norm(grads, grad_clip_val)[0]

    def device_name(self):
        """The GPU's name, or the CPU's with its number of cores."""
        found = accelerators.details(self.device).get("device_name")
        return found or f"CPU: {processor.cpu_name()}"

    @contextlib.contextmanager
    def only_deterministic(self):
        """Let TensorFlow raise if it has no deterministic algorithm."""
        before = config.is_op_determinism_enabled()
        tf.config.experimental.enable_op_determinism()
        try:
            yield
        finally:
            if not before:
                config.disable_op_determinism()

    def skip_epochs(self, number):
        """Let a shuffled tf.data.Dataset go on: it counts how often it is read."""
        if isinstance(self.train_dataloader, tf.data.Dataset):
            for _ in range(number):
                iter(self.train_dataloader)

    def _run(self, step, batch):
        if not self.compiled:
            with settings.ours(), self._mixed(step):
                return step(*batch)
        values = self._traced.values()
        logged = self._function(step, _specs(batch), values)(*batch)
        self.compiled = self._traced.may_go_on(values)
        return logged

    def _compile(self, step, specs, values):
        """The step for arrays of these `specs`, traced while Python has these `values`."""
        # Without AutoGraph, as in Keras: errors then point to the author's lines. One
        # concrete function, because TensorFlow warns about retracing after many fits.
        function = tf.function(step, input_signature=specs, autograph=False)
        with settings.ours(), self._mixed(step):
            function = function.get_concrete_function()
        if self.gpus:
            number = self.num_epochs * self.expected_batches(train=True)
            recurs = step == self._train and specs == _specs(self.sample)
            is_worth_it = recurs and number >= xla.FEWEST_STEPS
            return xla.by_xla(function, self.model) if is_worth_it else function
        return precision.in_graph(function) if self._is_bf16(step) else function

    def _mixed(self, step):
        """The context in which the Python of a step runs, as it is traced or each time."""
        if self._is_bf16(step) and (self.gpus or not self.compiled):
            return precision.mixed(self.model)
        return contextlib.nullcontext()

    def _is_bf16(self, step):
        return step == self._train and self.used_precision == "bf16"

    # Traced once per shape: what the model logs is symbolic here, numbers in the results.

    def _train(self, *batch):
        self.model.training = True
        # Keras' optimisers divide by it what they are given; a reader's own has none.
        scaled = getattr(self.optim, "scale_loss", lambda loss: loss)
        try:
            with normalization.fused(self.model), tf.GradientTape() as tape:
                with penalties.collected(self.model) as unread:
                    loss = self.model.training_step(batch)
                check_mean(loss=loss)
                loss = scaled(sum(unread(), loss))
        finally:
            self.model.training = False
        params = self.model.trainable_variables
        grads = tape.gradient(loss, params)
        if self.gradient_clip_val > 0:
            grads = self.clip_gradients(scaled(self.gradient_clip_val), grads)
        with rate.scaled(self._rates, self._factor):
            self.optim.apply_gradients(zip(grads, params, strict=True))
        self.update_average()
        return self.take_logged()

    def _eval(self, *batch):
        self.model.validation_step(batch)
        return _checked(self.take_logged(), batch[:-1])


def _rates(optim):
    """The places of the learning rates: Keras' of an optimiser, or of those in it."""
    is_keras = isinstance(optim, keras.optimizers.Optimizer)
    owners = [("optimizer", optim)]
    found = [optim] if is_keras else variables.inner_optimizers(owners).values()
    # Keras has no public way to scale a rate that may be a number or a schedule.
    places = [(inner, "_get_current_learning_rate") for inner in found]
    return places or rate.place_in(optim)


def _checked(logged, inputs):
    """`logged`, whose losses are NaN if an input is not finite: ReLU may hide it."""
    for X in inputs:
        if tf.as_dtype(X.dtype).is_floating:
            finite = tf.reduce_all(tf.math.is_finite(X))
            losses = {key: l for key, l in logged.items() if "loss" in key}
            logged |= {k: tf.where(finite, l, l * math.nan) for k, l in losses.items()}
    return logged


def _seed_layers(model, seed):
    """Let `seed` determine dropout, and the weights of layers that are not built yet.

    A Keras layer draws the seeds of its initialisers on construction, long before a
    trainer sees it. Seeds that its author chose stay. Returns the layers whose weights
    are equal in all frameworks, in the order of the forward pass.
    """
    rng = random.Random(seed)
    drawn = []
    for layer in flatten(model):
        default = vars(layer).get("kernel_initializer")  # not that of its cell
        if type(default) is keras.initializers.GlorotUniform and _unseeded(default):
            layer.kernel_initializer = GlorotUniform()
        for value in vars(layer).values():
            if isinstance(value, keras.random.SeedGenerator) and _unseeded(value):
                value.state.assign([rng.randrange(2**31), 0])
            elif isinstance(value, keras.initializers.Initializer) and _unseeded(value):
                value.seed = rng.randrange(2**31)
        default = vars(layer).get("kernel_initializer")
        if isinstance(default, (GlorotUniform, HeNormal)) and not layer.built:
            drawn.append(layer)
    return drawn[::-1]  # Keras begins with the last layer


def _unseeded(source):
    return source.get_config().get("seed", "without one") is None


def _specs(batch):
    # With the number of examples, which a notebook may read as X.shape[0]; the smaller
    # last batch gets a separate step.
    return tuple(tf.TensorSpec(a.shape, a.dtype) for a in batch)
