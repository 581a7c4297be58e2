"""Which images a network takes, in either layout, and labels."""

from types import SimpleNamespace

import numpy as np
import pytest

from d2lext.core import images

Network = type("DenseNet", (SimpleNamespace,), {"min_image_size": 29})


def check(shape, in_channels=None, channels_last=False, **options):
    """Whether a network, built for `in_channels`, takes images of `shape`."""
    images.check(Network(**options), shape, lambda model: in_channels, channels_last)


@pytest.mark.parametrize("in_channels", [None, 3])
def test_images_that_fit(in_channels):
    check((8, 3, 29, 40), in_channels)
    check((8, 29, 40, 3), in_channels, channels_last=True)
    check((None, 29, 40, 3), in_channels, channels_last=True)
    check((8, None, None, 3), in_channels, channels_last=True)  # of any size
    check((8, 13, 64, 64))  # many channels
    check((2, 7))
    # A model that does not say that its inputs are images takes anything.
    check((8, 64, 20, 1), 1, min_image_size=0)


@pytest.mark.parametrize("in_channels", [None, 1, 3])
def test_too_small(in_channels):
    c = in_channels or 3
    with pytest.raises(ValueError, match="DenseNet needs .* 29x29 pixels, got 28x40"):
        check((8, c, 28, 40), in_channels)
    with pytest.raises(ValueError, match="DenseNet needs .* 29x29 pixels, got 40x28"):
        check((8, 40, 28, c), in_channels, channels_last=True)


@pytest.mark.parametrize("min_image_size", [1, 29])
@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("is_built", [False, True])
def test_the_other_layout(is_built, c, min_image_size):
    """Small networks take images of few pixels, and would learn from rows as channels."""
    options = {"in_channels": c if is_built else None, "min_image_size": min_image_size}
    rule = r"takes images \(n, c, h, w\), got \(8, 64, 48, %d\), which looks like "
    with pytest.raises(ValueError, match=rule % c + r".*order \(0, 3, 1, 2\)"):
        check((8, 64, 48, c), **options)
    rule = r"takes images \(n, h, w, c\), got \(8, %d, 64, 48\), which looks like "
    with pytest.raises(ValueError, match=rule % c + r".*order \(0, 2, 3, 1\)"):
        check((8, c, 64, 48), channels_last=True, **options)


@pytest.mark.parametrize("channels", [1, 4])
def test_another_number_of_channels(channels):
    rule = r"\(n, c, h, w\) with c = 3, got \(8, %d, 32, 32\): .*in_channels=%d\)"
    with pytest.raises(ValueError, match=rule % (channels, channels)):
        check((8, channels, 32, 32), 3)
    rule = r"\(n, h, w, c\) with c = 3, got \(8, 32, 32, %d\): .*in_channels=%d\)"
    with pytest.raises(ValueError, match=rule % (channels, channels)):
        check((8, 32, 32, channels), 3, channels_last=True)


X = np.random.default_rng(0).random((2, 3, 4, 5), np.float32)
PIXELS = (X * 255).astype(np.uint8)


@pytest.mark.parametrize(
    "given",
    [
        X.astype(np.float64),
        X.astype(">f4"),
        np.asfortranarray(X),
        X.tolist(),
        SimpleNamespace(asnumpy=X.copy),  # as of MXNet
    ],
    ids=["float64", "bytes", "strides", "list", "tensor"],
)
def test_what_becomes_images(given):
    found = images.as_images(given)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, X)


def test_images_are_not_copied_in_vain():
    assert images.as_images(X) is X


def test_bytes_are_scaled_with_a_word():
    with pytest.warns(UserWarning, match="X is uint8 and divided by 255"):
        found = images.as_images(PIXELS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, PIXELS / 255, rtol=1e-7)
    assert images.as_images(PIXELS > 127).max() == 1


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e300])
def test_images_must_be_finite(value):
    wrong = X.astype(np.float64)
    wrong[1, 2, 3, 4] = value
    with pytest.raises(ValueError, match=r"^X must hold finite .* 1 of 2 .* X\[1\]"):
        images.as_images(wrong)


def test_what_is_masked_has_no_number():
    masked = np.ma.masked_greater(X, 0.5)
    count = (X > 0.5).sum()
    with pytest.raises(ValueError, match=f"^X must hold .*, got {count} masked ones"):
        images.as_images(masked)
    np.testing.assert_array_equal(
        images.as_images(masked.filled(0)).max(), X[X <= 0.5].max()
    )
    assert images.as_images(np.ma.array(X)).shape == X.shape  # nothing is masked


@pytest.mark.parametrize("given", [[0, 2], [0.0, 2.0], np.array([0, 2], np.uint8)])
def test_what_becomes_labels(given):
    labels = images.as_labels(given, 2, 3)
    assert (labels.dtype, labels.tolist()) == (np.int64, [0, 2])


@pytest.mark.parametrize(
    ("given", "error", "rule"),
    [
        ([0, 3], ValueError, "from 0 to 2, got 0 to 3"),
        ([-1, 0], ValueError, "from 0 to 2, got -1 to 0"),
        ([0], ValueError, r"for each .*, got \(1,\) for 2 images"),
        ([[1, 0, 0], [0, 0, 1]], ValueError, r"got \(2, 3\) for 2 .*argmax"),
        ([0.5, 1], TypeError, "integers, got float64"),
        ([np.nan, 1], TypeError, "integers, got float64"),
        (["cat", "dog"], TypeError, "an array of numbers, got str"),
    ],
)
def test_what_are_no_labels(given, error, rule):
    with pytest.raises(error, match=f"^y must .*{rule}"):
        images.as_labels(given, 2, 3)


def test_batches():
    """All at once or one by one; of no images, as many columns as of some."""

    def sums(part):
        assert len(part) in (1, 2)
        return part.sum(axis=(2, 3))

    for batch_size in (1, 2, np.int64(5)):
        found = images.in_batches(sums, X, batch_size)
        np.testing.assert_array_equal(found, X.sum(axis=(2, 3)))
    assert images.in_batches(sums, X[:0], 2).shape == (0, 3)
    with pytest.raises(ValueError, match="batch_size must be an integer >= 1, got 0"):
        images.in_batches(sums, X, 0)
