"""Networks by name, their predictions, and what one training step computes."""

import weakref
from types import SimpleNamespace

import jax
import numpy as np
from jax import numpy as jnp

from d2lext.core import images
from d2lext.core.densenet import registry
from d2lext.core.densenet.parity import Step
from d2lext.core.turns import turn
from d2lext.jax.module import in_channels
from d2lext.jax.speed.compiling import compiled_anywhere
from d2lext.jax.weights import check_built, named_tensors, set_weights, to_numpy

__all__ = ["create_model", "predict", "examine"]

# By a model's id: a field of it, such as a list, may have no hash.
_functions = {}


def create_model(name, *, seed=0, **options):
    """The network `name` of `list_models()`, built, with the weights of `seed`.

    `options`: arch, growth_rate, num_channels, bottleneck_size, compression, dropout,
    memory_efficient, num_classes, in_channels, and those of training; NumPy's numbers
    will do. The weights are equal in every framework.
    """
    from d2lext.jax.family import DenseNetBC

    network = registry.architecture(name, **options)
    model = DenseNetBC(**registry.model_options(name, options))
    registry.set_later(model, options)
    size = network.min_image_size
    X = jnp.zeros((1, size, size, network.in_channels), jnp.float32)
    # Only shapes until the weights are set: no arithmetic, nothing to compile.
    model.variables = jax.eval_shape(model.init, jax.random.key(0), X)
    set_weights(model, registry.initial_weights(name, seed, options))
    return model


def predict(model, X, batch_size=128):
    """Logits (n, classes) of images X (n, c, h, w), both NumPy float32.

    Other floats are converted, and so are lists and tensors; uint8 is divided by 255, with
    a warning. The model runs in evaluation mode and does not change; several threads may
    predict with it, also between the steps of one that trains it. The first call for
    each shape of X is slower, because it compiles the network, with the methods that it
    then has.
    """
    X = images.as_images(X)
    check_built(model)
    images.check(model, X.shape, in_channels)
    apply = _compiled(model)

    def logits(part):
        return apply(model.variables, part.transpose(0, 2, 3, 1))

    with turn(model, shared=True):
        return images.in_batches(logits, X, batch_size)


def examine(model, X, y):
    """What a training step on images X (n, c, h, w) and labels y (n,) computes.

    X is as in `predict`. The model does not change.
    """
    X = images.as_images(X)
    check_built(model)
    images.check(model, X.shape, in_channels)
    y = images.as_labels(y, len(X), model.num_classes)
    X, y = jnp.asarray(X.transpose(0, 2, 3, 1)), jnp.asarray(y, jnp.int32)

    @compiled_anywhere
    def step(params, batch_stats):
        rng = jax.random.key(0)
        state = SimpleNamespace(
            apply_fn=model.apply, batch_stats=batch_stats, dropout_rng=rng
        )
        grad = jax.value_and_grad(model.loss, has_aux=True)
        # Compiled together, the two forward passes become one.
        logits, _ = model.apply(
            {"params": params, "batch_stats": batch_stats},
            X,
            mutable=["batch_stats"],
            rngs={"dropout": rng},
        )
        return logits, grad(params, (X,), y, state)

    with turn(model, shared=True):
        logits, ((loss, updates), grads) = step(
            model.variables["params"], model.variables["batch_stats"]
        )
    gradients = named_tensors(model, {"params": grads})
    statistics = named_tensors(model, updates)
    return Step(
        np.asarray(logits),
        float(loss),
        {name: to_numpy(array) for name, array in gradients.items()},
        {name: to_numpy(array) for name, array in statistics.items()},
    )


def _compiled(model):
    """The function of variables and X that evaluates `model`, the same at every call."""
    if id(model) not in _functions:
        alive = weakref.ref(model)  # otherwise the function would keep its weights

        @compiled_anywhere
        def apply(variables, X):
            return alive().evaluating().apply(variables, X)

        _functions[id(model)] = apply
        weakref.finalize(model, _functions.pop, id(model))
    return _functions[id(model)]
