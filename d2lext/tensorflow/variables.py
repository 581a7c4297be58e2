"""All variables that a training changes, by name, whoever holds them."""

import keras
import tensorflow as tf

from d2lext.core.training.held import held
from d2lext.tensorflow.module import flatten


def named(model, optim, owners):
    """Those that train as model/..., what the `owners` keep as kept/..., and others."""
    weights = model.weights
    found = {f"model/{i}": v for i, v in enumerate(weights)}
    known = {id(v) for v in weights}
    others = [v for v in model.variables if id(v) not in known]
    found |= {f"random/{i}": v for i, v in enumerate(others)}
    variables = getattr(optim, "variables", [])  # a reader's own has none
    found |= {f"optimizer/{i}": v for i, v in enumerate(variables)}
    for name, inner in inner_optimizers(owners).items():
        known = {id(v) for v in found.values()}
        new = [v for v in inner.variables if id(v) not in known]
        found |= {f"optimizer/{name}/{i}": v for i, v in enumerate(new)}
    known = {id(v) for v in found.values()}
    for name, v in held(owners, (tf.Variable, keras.Variable)).items():
        if id(v) not in known:
            found[f"model/{name}" if v.trainable else f"kept/{name}"] = v
    sources = held(owners, (keras.random.SeedGenerator, tf.random.Generator))
    found |= {
        f"random/{name}": source.state
        for name, source in sources.items()
        if id(source.state) not in known
    }
    return found


def inner_optimizers(owners):
    """Keras' optimisers that the `owners`, a model or an optimiser of a reader's, hold."""
    return held(owners, keras.optimizers.Optimizer)


def trained(optimizer):
    """The variables for which one of Keras' optimisers was built; none before that."""
    return getattr(optimizer, "_trainable_variables", [])


def check(model):
    """Raise ValueError if a layer has a variable that Keras does not train."""
    for layer in flatten(model):
        for name, value in vars(layer).items():
            values = value if isinstance(value, list | tuple) else [value]
            if any(isinstance(v, tf.Variable) and v.trainable for v in values):
                raise ValueError(
                    "parameters must be Keras' variables, which alone it trains, got "
                    f"a tf.Variable as {type(layer).__name__}.{name}: make it with "
                    "keras.Variable(value), or with trainable=False"
                )
