"""The training loop's steps in JAX."""

import contextlib
import functools
from collections import OrderedDict

import jax
import numpy as np
import optax
from flax import linen as nn
from jax import numpy as jnp

from d2lext.core.densenet.initializers import seeded
from d2lext.core.frameworks import FRAMEWORKS
from d2lext.core.machine import processor
from d2lext.core.machine.allocator import keep_pages
from d2lext.core.training import rate
from d2lext.core.training.traced import Traced
from d2lext.jax import accelerators, device, variables
from d2lext.jax.batchnorm import values_per_channel
from d2lext.jax.speed.compiling import compiled
from d2lext.jax.speed.programs import faster
from d2lext.jax.state import State


class Trainer(State):
    """Fit a model on one GPU or on the CPU.

    With `optax.contrib.schedule_free` the model has the averaged weights that it is to be
    evaluated with, after the last epoch.

    A step makes the collection batch_stats mutable alone. What a layer guards by
    `is_mutable_collection` of another one does not run, unless the model's `loss` makes
    that one mutable and returns it among the updates.

    A checkpoint has the trainer's keys, not one that the data split and keep: resumed, they
    would begin with it again. Let the data hold a NumPy generator, whose state is kept, and
    make keys by `jax.random.key(rng.integers(2**32))`.

    A step is compiled again when numbers, flags or words have changed that a reader's model
    reads in its methods: attributes of its own or the trainer's. Whatever else Python reads
    stays as in the first step, such as global variables.
    """

    distributions = FRAMEWORKS["jax"].modules
    devices = device
    layers = (nn.Module,)
    optimizer_methods = {"init": 1, "update": 3}
    _key = None

    def fastest(self):
        """bf16 on devices that multiply it; compiled."""
        has_bf16 = (
            accelerators.multiplies_bf16(self.gpus[0])
            if self.gpus
            else processor.has_bfloat16()
        )
        return "bf16" if has_bf16 else "fp32", True

    def fit(self, model, data, key=None):
        """Train `model` on `data`; `key`, if given, determines weights and dropout."""
        self._key = key
        super().fit(model, data)

    def seed_framework(self):
        """Make this run's keys; seed Python's and NumPy's random numbers: JAX has none."""
        super().seed_framework()
        key = jax.random.key(self.seed) if self._key is None else self._key
        self._params_key, self._dropout_key = jax.random.split(key)

    def prepare_model(self, model):
        """Build the model if necessary, and make the two steps."""
        super().prepare_model(model)
        if not self.gpus:
            keep_pages()
        X = self.sample[:-1]
        if model.variables is None:
            key = {"params": self._params_key, "dropout": self._dropout_key}
            # A reader's key determines the weights; otherwise the seed does, as in
            # every framework.
            drawn = (
                contextlib.nullcontext() if self._key is not None else seeded(self.seed)
            )
            with drawn:
                model.variables = model.apply_init(X, key)
        self._make_steps()
        self._make_state(optax.identity())  # to evaluate; training makes another one

    def prepare_optimizer(self):
        """Make the optimiser, and the state of model and optimiser on the device."""
        if not jax.tree.leaves(self.state.params):
            raise self.nothing_trains("give it a layer with parameters")
        super().prepare_optimizer()
        self._make_state(self.optim)

    def prepare_batch(self, batch):
        """The batch on the device."""
        batch = jax.device_put(batch, self.device)
        # A step whose input has not arrived waits for it in one of XLA's threads, where
        # glibc maps and clears all of the step's memory again.
        return batch if self.gpus else jax.block_until_ready(batch)

    def train_step(self, batch):
        """Forward, backward, one step of the optimiser."""
        # JAX never forgets a function in the arguments of a compiled one. That of the state
        # would keep the model, this trainer and its data.
        state = self.state.replace(apply_fn=None)
        steps = self._train_step, self._compiled_train_step
        state, logged = self._run(*steps, state, batch, self._numbers())
        self.state = state.replace(apply_fn=self._apply)
        return logged

    def _numbers(self):
        """The factor of the rate, and what the average keeps, as arrays.

        A number of Python would be compiled in.
        """
        numbers = rate.factor(self), self.average.keep
        return jax.tree.map(np.float32, numbers)  # None stays

    def eval_step(self, batch):
        """Validate in evaluation mode, without gradients."""
        steps = self._eval_step, self._compiled_eval_step
        return self._run(*steps, self.state.replace(apply_fn=None), batch)

    def try_out(self, function):
        """Call a function of the step only for its exception; nothing of it stays."""
        jax.eval_shape(function)

    def finish(self):
        """Take the averages that `optax.contrib.schedule_free` keeps, for evaluation."""
        kind = optax.contrib.ScheduleFreeState
        leaves = jax.tree.leaves(
            self.state.opt_state, is_leaf=lambda leaf: isinstance(leaf, kind)
        )
        params = self.state.params
        for leaf in leaves:
            if isinstance(leaf, kind):
                params = optax.contrib.schedule_free_eval_params(leaf, params)
        self.state = self.state.replace(params=params)

    def numpy(self, tensor):
        """A tensor of a batch as a NumPy array."""
        return np.asarray(tensor)

    def output_shape(self, batch):
        """The shape of the model's output for a batch on the device."""
        apply = self.model.evaluating().apply
        return jax.eval_shape(apply, self.model.variables, *batch[:-1]).shape

    def values_per_channel(self, batch):
        """How many values each batch normalization averages in training on a batch."""
        return values_per_channel(self.model, batch[:-1])

    def weights_are_finite(self):
        """Whether no number that training changes is NaN or infinite; waits for them."""
        leaves = jax.tree.leaves((self.state.params, self.state.batch_stats))
        return all(np.isfinite(leaf).all() for leaf in map(np.asarray, leaves))

    def clip_gradients(self, grad_clip_val, grads):
        """Scale the gradients down to a joint norm of at most `grad_clip_val`."""
        scale = grad_clip_val / optax.tree.norm(grads)
        return jax.tree.map(lambda grad: grad * scale.clip(max=1), grads)

    def gpu_name(self):
        """The GPU's name in XLA."""
        return self.device.device_kind

    def _make_steps(self):
        """Make the functions of the two steps."""
        model, low = self.model, self._low_precision()
        self._apply = faster(variables.with_others(model.apply), low)
        self._eval_apply = faster(variables.with_others(model.evaluating().apply))
        # One compiled function per step; the new state reuses the old one's memory.
        # `lax.scan` over steps took five times as long per step on a CPU, and a GPU does
        # not wait for the host: JAX queues steps long before they are computed.
        options = {"deterministic": self.deterministic, "static_argnames": "values"}
        compile = functools.partial(compiled, device=self.device, **options)
        self._compiled_train_step = compile(self._train_step, donate_argnums=0)
        self._compiled_eval_step = compile(self._eval_step)
        self._traced = Traced(self, [("model", model)])

    def _low_precision(self):
        return jnp.bfloat16 if self.used_precision == "bf16" else None

    def _run(self, step, compiled, *args):
        if not self.compiled:
            with accelerators.in_fp32(self.device):
                return step(*args)
        values = self._traced.values()
        result = compiled(*args, values=values)
        self.compiled = self._traced.may_go_on(values)
        return result

    # Traced once for each batch shape, and for `values` of Python's that it reads: what the
    # model logs is symbolic here, and becomes numbers only in the results. JAX sorts the
    # keys of a plain dict.

    def _train_step(self, state, batch, numbers=(None, None), values=()):
        factor, keep = numbers
        apply = functools.partial(self._apply, others=state.others)
        state = state.replace(apply_fn=apply)
        value, grads = self.model.training_step(state.params, batch, state)
        # The updates are those of BatchNorm.
        loss, updates = value[:2] if isinstance(value, tuple) else (value, {})
        statistics = updates.get("batch_stats", state.batch_stats)
        variables.check_complete(state.batch_stats, statistics)
        if self.gradient_clip_val > 0:
            grads = self.clip_gradients(self.gradient_clip_val, grads)
        state = state.apply_gradients(
            grads=grads,
            loss=loss,
            factor=factor,
            batch_stats=statistics,
            others={n: updates.get(n, kept) for n, kept in state.others.items()},
            dropout_rng=jax.random.split(state.dropout_rng)[0],
            apply_fn=None,
        )
        if keep is not None:
            state = state.update_average(keep)
        return state, OrderedDict(self.take_logged())

    def _eval_step(self, state, batch, values=()):
        apply = functools.partial(self._eval_apply, others=state.others)
        state = state.replace(apply_fn=apply, training=False)
        self.model.validation_step(state.params, batch, state)
        return OrderedDict(_checked(self.take_logged(), batch[:-1]))


def _checked(logged, inputs):
    """`logged`, whose losses are NaN if an input is not finite: ReLU may hide it."""
    for X in jax.tree.leaves(inputs):
        finite = jnp.isfinite(X).all()
        losses = {key: l for key, l in logged.items() if "loss" in key}
        logged |= {k: jnp.where(finite, l, jnp.nan) for k, l in losses.items()}
    return logged
