"""DenseNet in four frameworks: the library behind the book.

`from d2lext import torch as d2l` (or mxnet, jax, tensorflow) imports one framework
and none of the others.
"""

__version__ = "0.1.0"
