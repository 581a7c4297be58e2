"""A training's state in TensorFlow: what a checkpoint keeps, and what identifies it."""

import numpy as np
import tensorflow as tf

from d2lext.core.training import trainer
from d2lext.tensorflow import identity, randomness, settings, variables
from d2lext.tensorflow.module import flatten


class State(trainer.Trainer):
    """A trainer whose state can be taken and restored."""

    def network_layers(self):
        """The options of each layer, and what is frozen."""
        return identity.layers(self.model)

    def optimizer_options(self):
        """The options of the optimiser."""
        return identity.optimizer(self.optim)

    def owners(self):
        """The layers and the optimiser."""
        return [*self._layers(), ("optimizer", self.optim)]

    def get_state(self):
        """Parameters and statistics as model/..., the optimisers, the random numbers."""
        found = self._variables()
        names = {id(v): name for name, v in found.items()}
        arrays = {name: v.numpy() for name, v in found.items()}
        for name, inner in variables.inner_optimizers(self.owners()).items():
            trained = [names.get(id(v), "") for v in variables.trained(inner)]
            arrays[f"trained/{name}"] = np.array(trained, str)
        pairs = self.average.pairs
        arrays |= {f"average/{n}": a.numpy() for n, (_, a) in pairs.items()}
        return arrays | randomness.get_state()

    def set_state(self, arrays):
        """Restore what `get_state` returned in an earlier process."""
        randomness.set_state(arrays)
        self._build_inner(arrays)
        found = self._variables()
        for name in arrays:
            if name.startswith("optimizer/") and name not in found:
                raise ValueError(
                    "the optimisers must have all variables before fit(), got a "
                    f"checkpoint with {name}, which is not there yet: call their "
                    "build(model.trainable_variables) in configure_optimizers"
                )
        for name, (_, average) in self.average.pairs.items():
            average.assign(arrays[f"average/{name}"])
        for name, variable in found.items():
            dtype = tf.as_dtype(variable.dtype).as_numpy_dtype
            # A variable that a model only keeps, such as its last output, may be new.
            if name in arrays and arrays[name].shape == variable.shape:
                variable.assign(arrays[name].view(dtype))  # files have no bfloat16

    def begin_average(self):
        """What trains, and the statistics of normalization, each with an average of 0."""
        with self.device:
            self._keep = tf.Variable(0.0, trainable=False)
            return {
                name: (variable, _zeros(variable))
                for name, variable in self._variables().items()
                if name.startswith("model/") and tf.as_dtype(variable.dtype).is_floating
            }

    def exchange_average(self):
        """Exchange the average and what the model has."""
        with self.device:
            for variable, average in self.average.pairs.values():
                before = tf.identity(average)
                average.assign(tf.convert_to_tensor(variable))
                variable.assign(before)

    def update_average(self):
        """Let the average keep a share of what it was, and take the rest from now."""
        for variable, average in self.average.pairs.values():
            share = tf.cast(1 - self._keep, average.dtype)
            average.assign_add((tf.convert_to_tensor(variable) - average) * share)

    def _build_inner(self, arrays):
        """Build optimisers that otherwise their first step builds."""
        found = self._variables()
        for name, inner in variables.inner_optimizers(self.owners()).items():
            names = set(arrays.get(f"trained/{name}", ()))
            if names and names <= found.keys() and not variables.trained(inner):
                with self.device, settings.ours():
                    inner.build([found[n] for n in arrays[f"trained/{name}"]])

    def _variables(self):
        return variables.named(self.model, self.optim, self.owners())

    def _layers(self):
        return [(str(i), layer) for i, layer in enumerate(flatten(self.model))]


def _zeros(variable):
    zeros = tf.zeros(variable.shape, tf.as_dtype(variable.dtype))
    return tf.Variable(zeros, trainable=False)
