"""d2l's names for MXNet's functions on arrays.

A notebook that writes `d2l.reduce_sum(x)` instead of `x.sum()` reads the same in every
framework. Arguments and defaults are MXNet's own: `d2l.ones((2, 3))` is float32.
"""

from mxnet import np, npx

__all__ = [
    "ones", "ones_like", "zeros", "zeros_like", "eye", "arange", "linspace", "tensor",
    "rand", "randn", "normal", "meshgrid", "sin", "cos", "tan", "sinh", "cosh", "tanh",
    "exp", "log", "abs", "sigmoid", "matmul", "batch_matmul", "concat", "stack",
    "expand_dims", "swapaxes", "repeat", "reshape", "transpose", "astype", "to",
    "numpy", "size", "argmax", "reduce_sum", "reduce_mean", "int32", "int64", "float32",
]  # fmt: skip

# Arrays of given values
ones = np.ones
ones_like = np.ones_like
zeros = np.zeros
zeros_like = np.zeros_like
eye = np.eye
arange = np.arange
linspace = np.linspace
tensor = np.array

# Random numbers
rand = np.random.rand
randn = np.random.randn
normal = np.random.normal

# Elementwise
meshgrid = np.meshgrid
sin = np.sin
cos = np.cos
tan = np.tan
sinh = np.sinh
cosh = np.cosh
tanh = np.tanh
exp = np.exp
log = np.log
abs = np.abs
sigmoid = npx.sigmoid

# Products
matmul = np.dot
batch_matmul = npx.batch_dot

# Shapes
concat = np.concatenate
stack = np.stack
expand_dims = np.expand_dims


def swapaxes(x, *args, **kwargs):
    """`x` with two axes exchanged: `swapaxes(x, 0, 1)`."""
    return x.swapaxes(*args, **kwargs)


def repeat(x, *args, **kwargs):
    """`x` with each of its elements repeated: `repeat(x, 2, axis=0)`."""
    return x.repeat(*args, **kwargs)


def reshape(x, *args, **kwargs):
    """`x` with a new shape: `reshape(x, (2, -1))`."""
    return x.reshape(*args, **kwargs)


def transpose(x):
    """`x` with its axes in reverse order."""
    return x.T


# Types and devices
def astype(x, *args, **kwargs):
    """`x` converted to another type: `astype(x, float32)`."""
    return x.astype(*args, **kwargs)


def to(x, device):
    """`x` moved to `device`; `x` itself if it is there already."""
    return x.as_in_ctx(device)


def numpy(x):
    """`x` as a NumPy array."""
    return x.asnumpy()


def size(x):
    """The number of elements of `x`."""
    return x.size


# Reductions
def argmax(x, *args, **kwargs):
    """The index of the largest element, along `axis` if given."""
    return x.argmax(*args, **kwargs)


def reduce_sum(x, *args, **kwargs):
    """The sum of the elements, along `axis` if given."""
    return x.sum(*args, **kwargs)


def reduce_mean(x, *args, **kwargs):
    """The mean of the elements, along `axis` if given."""
    return x.mean(*args, **kwargs)


int32 = np.int32
int64 = np.int64
float32 = np.float32
