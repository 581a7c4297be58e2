"""A training's state in JAX: what a checkpoint keeps, and what identifies it."""

import contextlib
import functools
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import optax
from flax import struct
from flax.training import train_state
from jax import numpy as jnp

from d2lext.core.module import later_options
from d2lext.core.training import trainer
from d2lext.jax import device, identity, variables
from d2lext.jax.weights import check_built


class TrainState(train_state.TrainState):
    """What a step changes: parameters, optimiser, BatchNorm's statistics, dropout.

    `others` has the model's other collections. They stay as they are, unless a loss makes
    one mutable and returns it among the updates. `average` has two collections, or is None.
    `training` is False in an evaluation.
    """

    batch_stats: Any
    others: Any
    dropout_rng: jax.Array
    average: Any = None
    training: bool = struct.field(pytree_node=False, default=True)

    def apply_gradients(self, *, grads, loss, factor=None, **kwargs):
        """One step of the optimiser, which may read the loss, as `reduce_on_plateau`.

        A `factor` multiplies it, and with it the learning rate.
        """
        tx = self.tx
        if isinstance(tx, optax.GradientTransformationExtraArgs):
            tx = tx._replace(update=functools.partial(tx.update, value=loss))
        if factor is not None:
            tx = SimpleNamespace(update=functools.partial(_scaled, tx.update, factor))
        step = super(TrainState, self.replace(tx=tx)).apply_gradients
        return step(grads=grads, tx=self.tx, **kwargs)

    def update_average(self, keep):
        """Let the average keep a share of what it was, and take the rest from now."""

        def update(average, now):
            return average + (now - average) * (1 - keep)

        average = jax.tree.map(update, self.average, _averaged(self))
        return self.replace(average=average)


class State(trainer.Trainer):
    """A trainer whose state can be taken and restored."""

    def _make_state(self, optim):
        """Make the state on the device, as training begins."""
        fields = self._take_variables()
        if self.gpus:
            # Filling an array of each shape is a program, which a CPU compiles faster.
            with contextlib.suppress(RuntimeError):  # JAX_PLATFORMS leaves out the CPU
                fields = jax.device_put(fields, device.cpu())
        state = TrainState.create(
            apply_fn=self._apply,
            **fields,
            dropout_rng=self._dropout_key,
            tx=optim,
        )
        # The optimiser that d2l writes from scratch has a class as its state, not an array.
        opt_state = jax.tree.map(
            lambda leaf: leaf() if isinstance(leaf, type) else leaf, state.opt_state
        )
        state = state.replace(opt_state=opt_state)
        # A copy: the first step donates the memory of its arrays.
        self._state = jax.device_put(state, self.device, may_alias=False)

    @property
    def state(self):
        """What a step changes, with the variables that the model has now.

        These may have been set since the last step, as by `load_weights`.
        """
        check_built(self.model)
        if not variables.same(self.model.variables, self._taken):
            fields = self._take_variables()
            fields = jax.device_put(fields, self.device, may_alias=False)
            self._state = self._state.replace(**fields)
        return self._state

    @state.setter
    def state(self, state):
        self._state = state
        self._taken = {
            "params": state.params,
            "batch_stats": state.batch_stats,
            **state.others,
        }
        self.model.variables = dict(self._taken)

    def _take_variables(self):
        """The model's variables as fields of a state, without half precision."""
        # A FrozenDict would return another object each time.
        self.model.variables = dict(self.model.variables)
        self._taken = dict(self.model.variables)
        others = jax.tree.map(variables.in_float32, self._taken)
        return {
            "params": others.pop("params", {}),
            "batch_stats": others.pop("batch_stats", {}),
            "others": others,
        }

    def begin_average(self):
        """What trains, and the statistics of normalization, each with an average of 0."""
        zeros = jax.tree.map(np.zeros_like, _averaged(self.state))
        average = jax.device_put(zeros, self.device, may_alias=False)
        self.state = self.state.replace(average=average)
        return {}

    def exchange_average(self):
        """Exchange the average and what the model has."""
        state = self.state
        self.state = state.replace(**state.average, average=_averaged(state))

    def seeds(self):
        """The seed and, if one is given, the key."""
        key = {} if self._key is None else {"key": jax.random.key_data(self._key)}
        return super().seeds() | key

    def network_options(self):
        """The model's fields, without those that Flax gives every module."""
        return identity.fields(self.model) | later_options(self.model)

    def network_layers(self):
        """The fields of each layer."""
        return identity.layers(self.model, self.sample[:-1])

    def optimizer_options(self):
        """The options of the optimiser."""
        return identity.optimizer(self.optim)

    def owners(self):
        """The model: the trainer keeps all else."""
        return [("model", self.model)]

    def get_state(self):
        """The whole state of training; parameters and statistics as model/..."""
        return {
            name: np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
            for name, leaf in _named(self.state)
        }

    def set_state(self, arrays):
        """Restore what `get_state` returned in an earlier process."""
        leaves = [
            jax.random.wrap_key_data(arrays[name], impl=jax.random.key_impl(leaf))
            if _is_key(leaf)
            else jnp.asarray(arrays[name].view(leaf.dtype))  # files have no bfloat16
            for name, leaf in _named(self.state)
        ]
        state = jax.tree.unflatten(jax.tree.structure(self.state), leaves)
        self.state = jax.device_put(state, self.device, may_alias=False)


def _averaged(state):
    return {"params": state.params, "batch_stats": state.batch_stats}


def _scaled(update, factor, *args):
    """An optimiser's updates times a factor, and its new state."""
    updates, opt_state = update(*args)
    return jax.tree.map(lambda u: u * factor, updates), opt_state


def _named(state):
    """(name, leaf) of each array in a tree."""
    names = {n: f"model/{n}" for n in ("params", "batch_stats")} | {"others": "model"}
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        first, *rest = jax.tree_util.keystr(path, simple=True, separator="/").split("/")
        yield "/".join([names.get(first, first), *rest]), leaf


def _is_key(leaf):
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
