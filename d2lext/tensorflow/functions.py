"""d2l's names for TensorFlow's functions on tensors.

A notebook that writes `d2l.reduce_sum(x)` instead of `x.sum()` reads the same in every
framework. Arguments and defaults are TensorFlow's own: `d2l.ones((2, 3))` is float32.
"""

import keras
import tensorflow as tf

__all__ = [
    "ones", "ones_like", "zeros", "zeros_like", "eye", "arange", "linspace", "tensor",
    "rand", "randn", "normal", "meshgrid", "sin", "cos", "tan", "sinh", "cosh", "tanh",
    "exp", "log", "abs", "sigmoid", "matmul", "batch_matmul", "concat", "stack",
    "expand_dims", "swapaxes", "repeat", "reshape", "transpose", "astype", "to",
    "numpy", "size", "argmax", "reduce_sum", "reduce_mean", "int32", "int64", "float32",
]  # fmt: skip

# Arrays of given values
ones = tf.ones
ones_like = tf.ones_like
zeros = tf.zeros
zeros_like = tf.zeros_like
eye = tf.eye
arange = tf.range
linspace = tf.linspace
tensor = tf.constant

# Random numbers
rand = tf.random.uniform


def randn(*shape):
    """Standard normal numbers: `randn(2, 3)`, or `randn((2, 3))`."""
    return tf.random.normal(shape if isinstance(shape[0], int) else shape[0])


normal = tf.random.normal

# Elementwise
meshgrid = tf.meshgrid
sin = tf.sin
cos = tf.cos
tan = tf.tan
sinh = tf.sinh
cosh = tf.cosh
tanh = tf.tanh
exp = tf.exp
log = tf.math.log
abs = tf.abs
sigmoid = tf.sigmoid

# Products
matmul = tf.matmul
batch_matmul = tf.matmul

# Shapes
concat = tf.concat
stack = tf.stack
expand_dims = tf.expand_dims
swapaxes = keras.ops.swapaxes
repeat = tf.repeat
reshape = tf.reshape
transpose = tf.transpose

# Types and devices
astype = tf.cast


def to(x, device):
    """`x` moved to `device`, such as `cpu()`."""
    with device:
        return tf.identity(x)


def numpy(x):
    """`x` as a NumPy array."""
    return x.numpy()


def size(x):
    """The number of elements of `x`."""
    return tf.size(x).numpy()


# Reductions
argmax = tf.argmax
reduce_sum = tf.reduce_sum
reduce_mean = tf.reduce_mean

int32 = tf.int32
int64 = tf.int64
float32 = tf.float32
