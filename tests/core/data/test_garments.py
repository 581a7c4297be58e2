"""Synthetic garments: repeatable, balanced, and neither trivial nor hopeless to learn."""

import numpy as np
import pytest

from d2lext.core.data import garments


@pytest.fixture(scope="module")
def drawn():
    """Synthetic images and labels to train on, and others to test on."""
    return garments.draw(4000, seed=0), garments.draw(1000, seed=1)


def test_garments_depend_on_seed_and_index_alone(drawn):
    (images, labels), (others, _) = drawn
    first, first_labels = garments.draw(37, seed=0)
    assert np.array_equal(first, images[:37])
    assert np.array_equal(first_labels, labels[:37])
    assert not (images[: len(others)] == others).all(axis=(1, 2)).any()


def test_garments_are_images_of_ten_balanced_classes(drawn):
    (images, labels), _ = drawn
    assert images.shape == (4000, 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    assert np.bincount(labels).tolist() == [400] * 10
    assert len(np.unique(labels.reshape(-1, 10), axis=0)) > 300  # random order
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)
    assert images[:, 0, 0].max() == 0
    assert images.max() == 255


def test_garments_can_be_learned_but_not_by_heart(drawn):
    (train, train_labels), (test, test_labels) = drawn
    centroids = np.stack([train[train_labels == c].mean(axis=0) for c in range(10)])
    difference = test[:, None] - centroids[None]
    predicted = (difference**2).sum(axis=(2, 3)).argmin(axis=1)
    assert 0.7 < (predicted == test_labels).mean() < 0.9
    X, Z = (np.insert(a.reshape(len(a), -1) / 255, 0, 1, axis=1) for a in (train, test))
    weights = np.linalg.solve(
        X.T @ X + 10 * np.eye(X.shape[1]), X.T @ np.eye(10)[train_labels]
    )
    correct = (Z @ weights).argmax(axis=1) == test_labels
    assert 0.85 < correct.mean() < 1
    assert all(correct[test_labels == c].mean() > 0.5 for c in range(10))
