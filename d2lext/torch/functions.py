"""d2l's names for PyTorch's functions on tensors.

A notebook that writes `d2l.reduce_sum(x)` instead of `x.sum()` reads the same in every
framework. Arguments and defaults are PyTorch's own: `d2l.ones((2, 3))` is float32.
"""

import torch

__all__ = [
    "ones", "ones_like", "zeros", "zeros_like", "eye", "arange", "linspace", "tensor",
    "rand", "randn", "normal", "meshgrid", "sin", "cos", "tan", "sinh", "cosh", "tanh",
    "exp", "log", "abs", "sigmoid", "matmul", "batch_matmul", "concat", "stack",
    "expand_dims", "swapaxes", "repeat", "reshape", "transpose", "astype", "to",
    "numpy", "size", "argmax", "reduce_sum", "reduce_mean", "int32", "int64", "float32",
]  # fmt: skip

# Arrays of given values
ones = torch.ones
ones_like = torch.ones_like
zeros = torch.zeros
zeros_like = torch.zeros_like
eye = torch.eye
arange = torch.arange
linspace = torch.linspace
tensor = torch.tensor

# Random numbers
rand = torch.rand
randn = torch.randn
normal = torch.normal

# Elementwise
meshgrid = torch.meshgrid
sin = torch.sin
cos = torch.cos
tan = torch.tan
sinh = torch.sinh
cosh = torch.cosh
tanh = torch.tanh
exp = torch.exp
log = torch.log
abs = torch.abs
sigmoid = torch.sigmoid

# Products
matmul = torch.matmul
batch_matmul = torch.bmm

# Shapes
concat = torch.cat
stack = torch.stack
expand_dims = torch.unsqueeze
swapaxes = torch.swapaxes


def repeat(x, *args, **kwargs):
    """Copies of `x` side by side: `repeat(x, (2, 3))`."""
    return x.repeat(*args, **kwargs)


def reshape(x, *args, **kwargs):
    """`x` with a new shape: `reshape(x, (2, -1))`."""
    return x.reshape(*args, **kwargs)


transpose = torch.t  # of at most two axes


# Types and devices
def astype(x, *args, **kwargs):
    """`x` converted to another type: `astype(x, float32)`."""
    return x.type(*args, **kwargs)


def to(x, *args, **kwargs):
    """`x` moved to another device: `to(x, try_gpu())`."""
    return x.to(*args, **kwargs)


def numpy(x):
    """`x` as a NumPy array, without its gradient."""
    return x.detach().cpu().numpy()


size = torch.numel

# Reductions
argmax = torch.argmax
reduce_sum = torch.sum
reduce_mean = torch.mean

int32 = torch.int32
int64 = torch.int64
float32 = torch.float32
