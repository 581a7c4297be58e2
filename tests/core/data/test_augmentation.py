"""Random changes of images: what they may be, how often, and from which random numbers."""

import itertools

import numpy as np
import pytest

from d2lext.core.data.augmentation import (
    MixUp,
    RandomErasing,
    RandomFlip,
    RandomShift,
)
from d2lext.core.data.minibatches import Batches

N = 2000
IMAGES = np.random.default_rng(0).integers(1, 256, size=(N, 1, 6, 5), dtype=np.uint8)
LABELS = np.arange(N) % 10


def changed(change, X=IMAGES, seed=0):
    return change(X, LABELS[: len(X)], np.random.default_rng(seed))


def test_shifts():
    """Each of the nine is as frequent; what comes in is black."""
    X, y = changed(RandomShift(1))
    assert y is LABELS or np.array_equal(y, LABELS)
    assert X.dtype == np.uint8
    padded = np.pad(IMAGES, ((0, 0), (0, 0), (1, 1), (1, 1)))
    counts = []
    for i, j in itertools.product(range(3), repeat=2):
        shifted = padded[:, :, i : i + 6, j : j + 5]
        counts.append((shifted == X).all(axis=(1, 2, 3)).sum())
    assert sum(counts) == N
    assert 180 <= min(counts) <= max(counts) <= 265  # 222 +- 3 deviations


def test_flips():
    X, _ = changed(RandomFlip(0.25))
    is_flipped = (IMAGES[..., ::-1] == X).all(axis=(1, 2, 3))
    assert (X[~is_flipped] == IMAGES[~is_flipped]).all()
    assert is_flipped.mean() == pytest.approx(0.25, abs=0.03)
    assert (changed(RandomFlip(0))[0] == IMAGES).all()


def test_erased_rectangles():
    white = np.full((N, 1, 40, 40), 255, np.uint8)
    X, _ = changed(RandomErasing(p=0.5, scale=(0.1, 0.2), ratio=(0.5, 2)), white)
    is_black = X[:, 0] == 0
    is_erased = is_black.any(axis=(1, 2))
    assert is_erased.mean() == pytest.approx(0.5, abs=0.04)
    rows, columns = (is_black.any(axis=axis).sum(axis=1) for axis in (2, 1))
    areas = is_black.sum(axis=(1, 2))
    assert (areas == rows * columns).all()  # one rectangle
    shares, ratios = areas[is_erased] / 1600, rows[is_erased] / columns[is_erased]
    assert 0.09 <= shares.min() < 0.11 < 0.19 < shares.max() <= 0.22
    assert shares.mean() == pytest.approx(0.15, abs=0.005)
    assert 0.45 <= ratios.min() < 0.55 < 1.9 < ratios.max() <= 2.2
    assert np.median(ratios) == pytest.approx(1, abs=0.1)
    X, _ = changed(RandomErasing(p=1, scale=(1, 1), ratio=(1, 1), value=0.5), white)
    assert (X == 128).all()
    X, _ = changed(
        RandomErasing(p=1, scale=(1, 1), ratio=(1, 1), value="random"), white
    )
    assert X.mean() == pytest.approx(127.5, abs=0.5)
    assert X.dtype == np.uint8


def test_mixed_images_and_labels():
    """What the labels say of an image and another one is true of the pixels."""
    X, rows = changed(MixUp(0.4), IMAGES[:10])
    assert (X.dtype, rows.dtype, rows.shape) == (np.float32, np.float32, (10, 10))
    np.testing.assert_allclose(rows @ np.eye(10), rows)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-6)
    # The labels of ten images are their numbers.
    expected = np.tensordot(rows, IMAGES[:10].astype(np.float32), 1)
    np.testing.assert_allclose(X, expected, rtol=1e-5)
    assert len(np.unique(rows.max(axis=1).round(5))) <= 2  # one share for the batch
    twice, _ = MixUp(0.4)(X, rows, np.random.default_rng(1))
    assert twice.shape == X.shape


def test_shares_of_mixed_images():
    """Half of the time each of two is itself, otherwise the share is Beta's."""
    one, two = IMAGES[:2], np.array([0, 1])
    shares = [
        MixUp(0.2, 2)(one, two, np.random.default_rng(seed))[1][0, 0]
        for seed in range(1000)
    ]
    assert np.mean(shares) == pytest.approx(0.75, abs=0.04)
    squares = 0.5 + 0.5 * (0.25 + 0.25 / 1.4)  # of 1, and of Beta(0.2, 0.2)
    assert np.mean(np.square(shares)) == pytest.approx(squares, abs=0.04)


def epoch(loader):
    return [np.concatenate(parts) for parts in zip(*loader, strict=True)]


def loader(*augment, **attributes):
    made = Batches(IMAGES[:50, 0], np.arange(50), 16, True, 7, lambda *batch: batch)
    made.augment = augment
    vars(made).update(attributes)
    return made


def test_each_epoch_draws_anew_and_resumes():
    both = RandomShift(2), RandomErasing()
    first, second = epoch(whole := loader(*both)), epoch(whole)
    plain, numbers = epoch(loader())
    assert (first[1] == numbers).all()  # in the same order
    assert (first[0] != plain).any()
    again = epoch(loader(*both, epoch=1))
    assert all((a == b).all() for a, b in zip(again, second, strict=True))
    # The same images have others shifts.
    order = np.argsort(first[1]), np.argsort(second[1])
    assert (first[0][order[0]] != second[0][order[1]]).any()


def test_one_more_change_leaves_the_others():
    """So that two trainings differ in it alone."""
    shifted, _ = epoch(loader(RandomShift(2)))
    both, _ = epoch(loader(RandomShift(2), RandomFlip()))
    assert all(
        (a == b).all() or (a[..., ::-1] == b).all()
        for a, b in zip(shifted, both, strict=True)
    )


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: RandomShift(-1), "max_shift must be an integer >= 0, got -1"),
        (lambda: RandomFlip(2), "p must be a probability >= 0 and <= 1, got 2"),
        (lambda: RandomErasing(scale=(0.5, 2)), r"scale must .* <= 1, got \(0.5, 2\)"),
        (lambda: RandomErasing(ratio=(3, 1)), r"ratio must be two .* \(0.3, 3.3\)"),
        (lambda: RandomErasing(value=128), "value must be a grey level .* got 128"),
        (lambda: MixUp(0), "alpha must be a finite number > 0, got 0"),
        (
            lambda: changed(MixUp(1, num_classes=5)),
            "a label 9 with num_classes=5: pass",
        ),
    ],
)
def test_what_cannot_be(make, rule):
    with pytest.raises(ValueError, match=rule):
        make()
