"""Initial weights made by NumPy, so that equal seeds give them in every framework.

A backend's `init_cnn` and `init_he` take their numbers from here while a seed is in
force (a Trainer builds a model then), and from the framework at any other time. Weights
are drawn in the order of the forward pass, in the layout (out, in, height, width).
"""

import contextlib
import math

import numpy as np

_generator = None


@contextlib.contextmanager
def seeded(seed):
    """Draw all weights of layers that are built within from `seed`."""
    global _generator
    before, _generator = _generator, np.random.Generator(np.random.PCG64(seed))
    try:
        yield
    finally:
        _generator = before


def generator():
    """The generator of the seed that is in force, or None."""
    return _generator


def xavier_uniform(shape, rng):
    """Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010, Eq. 16)."""
    receptive_field = math.prod(shape[2:])
    limit = math.sqrt(6 / ((shape[0] + shape[1]) * receptive_field))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def he_normal(shape, rng):
    """Normal with deviation sqrt(2 / fan_in) (He et al., 2015, Eq. 10)."""
    deviation = math.sqrt(2 / math.prod(shape[1:]))
    return rng.normal(0, deviation, shape).astype(np.float32)


def initial_weights(architecture, seed, conv=he_normal):
    """All tensors of a DenseNet by canonical name: what `seed` gives in any framework.

    `conv` draws the convolutions' weights, Xavier's uniform distribution those of the
    linear layer. Biases are 0, and normalization begins as the identity.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    weights = {}
    for layer in architecture.layers():
        for name, shape in layer.tensors().items():
            if name.endswith("weight") and layer.kind != "norm":
                draw = conv if layer.kind == "conv" else xavier_uniform
                weights[name] = draw(shape, rng)
            elif name.endswith(("weight", "running_var")):
                weights[name] = np.ones(shape, np.float32)
            else:
                weights[name] = np.zeros(shape, np.float32)
    return weights
