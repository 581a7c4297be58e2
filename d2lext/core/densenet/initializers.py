"""Initial weights from NumPy, so that equal seeds give equal weights in every framework.

While a seed is active, that is, while a Trainer builds a model, a backend's `init_cnn` and
`init_he` draw weights here; otherwise the framework draws them. Weights are drawn in the
order of the forward pass, in the layout (out, in, height, width). Each thread has a seed of
its own.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import numpy as np

from d2lext.core.densenet.architecture import Architecture
from d2lext.core.densenet.layouts import oihw_to_hwio

Draw = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]

_generator: ContextVar[np.random.Generator | None] = ContextVar("rng", default=None)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw the weights of all layers built within the block from `seed`."""
    before = _generator.set(_new_generator(seed))
    try:
        yield
    finally:
        _generator.reset(before)


def draw_oihw(draw: Draw, shape: tuple[int, ...]) -> np.ndarray | None:
    """Weights of `shape` (out, in, h, w) or (out, in); None if no seed is active."""
    rng = _generator.get()
    return None if rng is None else draw(shape, rng)


def draw_hwio(draw: Draw, shape: tuple[int, ...]) -> np.ndarray | None:
    """Like `draw_oihw`, but of `shape` (h, w, in, out) or (in, out)."""
    *window, c_in, c_out = shape
    weights = draw_oihw(draw, (c_out, c_in, *window))
    return None if weights is None else oihw_to_hwio(weights)


def xavier_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010, Eq. 16)."""
    receptive_field = math.prod(shape[2:])
    limit = math.sqrt(6 / ((shape[0] + shape[1]) * receptive_field))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Normal with standard deviation sqrt(2 / fan_in) (He et al., 2015, Eq. 10)."""
    deviation = math.sqrt(2 / math.prod(shape[1:]))
    return rng.normal(0, deviation, shape).astype(np.float32)


def initial_weights(
    architecture: Architecture, seed: int, conv: Draw = he_normal
) -> dict[str, np.ndarray]:
    """All tensors of a DenseNet by canonical name, the same in all frameworks.

    `seed` determines them. `conv` draws the weights of the convolutions,
    `xavier_uniform` those of the linear layer. Biases are 0, and normalization starts as
    the identity.
    """
    rng = _new_generator(seed)
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


def _new_generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))
