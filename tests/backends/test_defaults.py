"""The frameworks' defaults are those of the table in the chapter on four frameworks.

The constants of normalization are read in the chapter itself.
"""

import re

import numpy as np
import pytest
from shared.frameworks import native, tensor
from shared.selected import in_backends

from d2lext.core.frameworks import IDS


@pytest.fixture(scope="module")
def chapter(root):
    return (root / "chapters" / "03-one-network.md").read_text("utf-8")


def row(chapter, beginning):
    """The cells of the table's row, by framework."""
    (found,) = re.findall(rf"^\| {re.escape(beginning)} \|(.*)\|$", chapter, re.M)
    return dict(zip(IDS, map(str.strip, found.split(" | ")), strict=True))


def test_a_convolution(backend, framework, d2l, chapter):
    """Its padding, and the standard deviation of its initial weights."""
    X = tensor(d2l, np.ones((1, 64, 8, 8), np.float32))
    weights, Y = framework.default_conv(X, 32, 3)
    is_padded = row(chapter, "padding of a convolution")[backend] == '"same"'
    size = 8 if is_padded else 6
    assert Y.shape == native(d2l, (1, 32, size, size))
    deviation = row(chapter, "their deviation, 3 × 3, 64 to 32 channels")[backend]
    assert weights.std() == pytest.approx(float(deviation), rel=0.03)


@in_backends("jax", "tensorflow")
def test_same_padding_at_a_stride_of_two(backend, framework, d2l, chapter):
    """Sums at two corners of an image of ones tell which weights met the padding."""
    cells = row(chapter, '"same" at stride 2, window of 7, 96 pixels')
    before, after = map(int, re.findall(r"\d+", cells[backend]))
    X = tensor(d2l, np.ones((1, 1, 96, 96), np.float32))
    weights, Y = framework.default_conv(X, 1, 7, strides=2, padding="same")
    kernel, Y = weights[:, :, 0, 0], Y[0, :, :, 0]
    assert Y.shape == (48, 48)
    assert Y[0, 0] == pytest.approx(kernel[before:, before:].sum(), abs=1e-5)
    assert Y[-1, -1] == pytest.approx(kernel[:-after, :-after].sum(), abs=1e-5)
