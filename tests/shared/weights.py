"""Weights by name, as `get_weights` returns them."""

import numpy as np


def assert_same(weights, others):
    """The tensors are equal bit for bit, and so is their order."""
    assert list(weights) == list(others)
    for name, array in weights.items():
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert array.flags.writeable
        np.testing.assert_array_equal(array, others[name], err_msg=name)
