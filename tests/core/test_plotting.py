"""Plots of functions, axes, rows of images."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from d2lext.core import plotting

pytestmark = pytest.mark.usefixtures("figures")

X = np.arange(4.0)


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ((X,), [(X, X)]),
        (([3, 1, 2],), [(X[:3], [3, 1, 2])]),
        ((X, X**2), [(X, X**2)]),
        ((X, [X**2, X**3]), [(X, X**2), (X, X**3)]),
        (([X, X + 1], [X**2, X**3]), [(X, X**2), (X + 1, X**3)]),
        ((X, np.stack([X, -X])), [(X, X), (X, -X)]),
        (([X, X**2],), [(X, X), (X, X**2)]),
    ],
)
def test_plot(arguments, lines):
    plotting.plot(
        *arguments, xlabel="x", ylabel="f(x)", legend=["f", "g"][: len(lines)]
    )
    axes = plt.gca()
    drawn = [np.array(line.get_data()) for line in axes.get_lines()]
    assert len(drawn) == len(lines)
    assert all(map(np.array_equal, drawn, map(np.array, lines)))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "f(x)")
    assert axes.get_legend().get_texts()[0].get_text() == "f"
    assert axes.figure.get_size_inches().tolist() == [3.5, 2.5]


def test_the_scale_of_axes_keeps_their_limits():
    axes = plt.gca()
    plotting.set_axes(axes, "x", "y", [1, 10], [2, 20], "log", "log", ["f"][:0])
    assert (axes.get_xlim(), axes.get_ylim()) == ((1, 10), (2, 20))
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


@pytest.mark.parametrize("shape", [(3, 5, 4), (3, 5, 4, 3)])
def test_images(shape):
    images = np.random.default_rng(0).random(shape)
    axes = plotting.show_images(images, 2, 2, titles=["a", "b", "c"])
    assert axes.shape == (4,)
    assert [ax.get_title() for ax in axes] == ["a", "b", "c", ""]
    assert np.array_equal(axes[1].get_images()[0].get_array(), images[1])
