"""DenseNet in four frameworks: the library beneath the book.

`from d2lext import torch as d2l` (or mxnet, jax, tensorflow) imports one framework
and none of the other three.
"""

__version__ = "0.1.0"
