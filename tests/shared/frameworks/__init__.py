"""What tests need of each framework beyond `d2l`: the same names in each module."""

import importlib

import numpy as np

from shared.selected import d2l_or_skip


def of(backend):
    """The module for `backend`; where the framework is not installed, a skip."""
    d2l_or_skip(backend)  # first: some frameworks must be prepared before they load
    return importlib.import_module(f"shared.frameworks.{backend}")


def is_channels_last(d2l):
    """Whether the images of a framework are (n, h, w, c)."""
    return d2l.__name__.endswith(("jax", "tensorflow"))


def native(d2l, shape):
    """The shape (n, c, h, w), or (n, features), as the framework orders it."""
    if is_channels_last(d2l) and len(shape) == 4:
        return (shape[0], *shape[2:], shape[1])
    return tuple(shape)


def tensor(d2l, array):
    """A NumPy array in the framework's dtypes and order: images from (n, c, h, w)."""
    if array.dtype.kind != "f":
        labels = d2l.int64 if d2l.__name__.endswith("torch") else d2l.int32
        return d2l.tensor(array, dtype=labels)
    if is_channels_last(d2l) and array.ndim == 4:
        array = array.transpose(0, 2, 3, 1)
    return d2l.tensor(array, dtype=d2l.float32)


def array(d2l, images):
    """The reverse of `tensor`: images become NumPy's (n, c, h, w)."""
    images = d2l.numpy(images)
    if is_channels_last(d2l) and images.ndim == 4:
        images = images.transpose(0, 3, 1, 2)
    return images


def small(d2l, arch=(1, 1), **options):
    """The first chapter's network with few channels, not built."""
    return d2l.DenseNet(num_channels=8, growth_rate=4, arch=arch, **options)


def built(d2l, model):
    """A network for colour images, after its first input."""
    X = tensor(d2l, np.zeros((2, 3, 16, 16), np.float32))
    if d2l.__name__.endswith("jax"):
        import jax

        model.variables = jax.jit(model.init)(jax.random.PRNGKey(0), X)
    else:
        model(X)
    return model
