"""d2l's names for JAX's functions on arrays.

A notebook that writes `d2l.reduce_sum(x)` instead of `x.sum()` reads the same in every
framework. Arguments and defaults are JAX's own: `d2l.ones((2, 3))` is float32. Random
numbers get their key from `get_key`.
"""

import jax
import numpy as np
from jax import numpy as jnp

from d2lext.jax.module import get_key

__all__ = [
    "ones", "ones_like", "zeros", "zeros_like", "eye", "arange", "linspace", "tensor",
    "rand", "randn", "normal", "meshgrid", "sin", "cos", "tan", "sinh", "cosh", "tanh",
    "exp", "log", "abs", "sigmoid", "matmul", "batch_matmul", "concat", "stack",
    "expand_dims", "swapaxes", "repeat", "reshape", "transpose", "astype", "to",
    "numpy", "size", "argmax", "reduce_sum", "reduce_mean", "int32", "int64", "float32",
]  # fmt: skip

# Arrays of given values
ones = jnp.ones
ones_like = jnp.ones_like
zeros = jnp.zeros
zeros_like = jnp.zeros_like
eye = jnp.eye
arange = jnp.arange
linspace = jnp.linspace
tensor = jnp.array


# Random numbers
def rand(*shape):
    """Uniform numbers in [0, 1): `rand(2, 3)`."""
    return jax.random.uniform(get_key(), _shape(shape))


def randn(*shape):
    """Standard normal numbers: `randn(2, 3)`."""
    return jax.random.normal(get_key(), _shape(shape))


def normal(shape, mean=0.0, stddev=1.0):
    """Normally distributed numbers: `normal((2, 3))`."""
    return mean + stddev * jax.random.normal(get_key(), shape)


# Elementwise
meshgrid = jnp.meshgrid
sin = jnp.sin
cos = jnp.cos
tan = jnp.tan
sinh = jnp.sinh
cosh = jnp.cosh
tanh = jnp.tanh
exp = jnp.exp
log = jnp.log
abs = jnp.abs
sigmoid = jax.nn.sigmoid

# Products
matmul = jnp.matmul
batch_matmul = jnp.matmul  # of the last two axes

# Shapes
concat = jnp.concatenate
stack = jnp.stack
expand_dims = jnp.expand_dims
swapaxes = jnp.swapaxes
repeat = jnp.repeat


def reshape(x, *args, **kwargs):
    """`x` with a new shape: `reshape(x, (2, -1))`."""
    return x.reshape(*args, **kwargs)


transpose = jnp.transpose

# Types and devices
astype = jnp.astype
to = jax.device_put
numpy = np.asarray
size = jnp.size

# Reductions
argmax = jnp.argmax
reduce_sum = jnp.sum
reduce_mean = jnp.mean

int32 = jnp.int32
int64 = jnp.int64
float32 = jnp.float32


def _shape(shape):
    """The shape meant by (2, 3) or ((2, 3),)."""
    return shape[0] if shape and isinstance(shape[0], (tuple, list)) else shape
