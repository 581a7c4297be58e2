"""A training's state in TensorFlow: what a checkpoint keeps, and what identifies it."""

import keras
import tensorflow as tf

from d2lext.core.training import trainer
from d2lext.core.training.held import held
from d2lext.tensorflow import identity
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
        """The layers and the optimiser; none if compiled: Python code then runs once."""
        return [] if self.compiled else self._owners()

    def get_state(self):
        """Parameters and statistics as model/..., the optimiser, the random numbers."""
        return {name: v.numpy() for name, v in self._variables().items()}

    def set_state(self, arrays):
        """Restore what `get_state` returned in an earlier process."""
        variables = self._variables()
        for name in arrays:
            if name.startswith("optimizer/") and name not in variables:
                raise ValueError(
                    "the optimisers must have all variables before fit(), got a "
                    f"checkpoint with {name}, which is not there yet: call their "
                    "build(model.trainable_variables) in configure_optimizers"
                )
        for name, variable in variables.items():
            dtype = tf.as_dtype(variable.dtype).as_numpy_dtype
            # A variable that a model only keeps, such as its last output, may be new.
            if name in arrays and arrays[name].shape == variable.shape:
                variable.assign(arrays[name].view(dtype))  # files have no bfloat16

    def _variables(self):
        """All variables: those that train as model/..., what the model keeps as kept/..."""
        weights = self.model.weights
        found = {f"model/{i}": v for i, v in enumerate(weights)}
        known = {id(v) for v in weights}
        others = [v for v in self.model.variables if id(v) not in known]
        found |= {f"random/{i}": v for i, v in enumerate(others)}
        optimizer = getattr(self.optim, "variables", [])  # a reader's own has none
        found |= {f"optimizer/{i}": v for i, v in enumerate(optimizer)}
        owners = self._owners()
        for name, inner in held(owners, keras.optimizers.Optimizer).items():
            known = {id(v) for v in found.values()}
            new = [v for v in inner.variables if id(v) not in known]
            found |= {f"optimizer/{name}/{i}": v for i, v in enumerate(new)}
        known = {id(v) for v in found.values()}
        for name, v in held(owners, (tf.Variable, keras.Variable)).items():
            if id(v) not in known:
                found[f"model/{name}" if v.trainable else f"kept/{name}"] = v
        return found

    def _owners(self):
        layers = [(str(i), layer) for i, layer in enumerate(flatten(self.model))]
        return [*layers, ("optimizer", self.optim)]
