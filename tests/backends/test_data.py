"""Minibatches as the tensors of each framework, from NumPy and out of Fashion-MNIST."""

import numpy as np
import pytest
from shared.frameworks import array, native


@pytest.fixture
def garments(d2l):
    """Fashion-MNIST without its images: the methods that make and show tensors."""
    return object.__new__(d2l.FashionMNIST)


def test_images_become_tensors_in_the_frameworks_order(d2l, backend, garments):
    X = np.random.default_rng(0).integers(256, size=(2, 3, 4, 5), dtype=np.uint8)
    images, labels = garments.to_tensors(X, np.array([3, 9]))
    assert tuple(images.shape) == native(d2l, (2, 3, 4, 5))
    assert images.dtype == d2l.float32
    assert np.allclose(array(d2l, images), X / 255, rtol=0, atol=1e-7)
    assert labels.dtype == (
        d2l.int64 if backend in ("torch", "tensorflow") else d2l.int32
    )
    assert d2l.numpy(labels).tolist() == [3, 9]


def test_visualize(figures, garments):
    X, y = np.zeros((2, 1, 28, 28), np.uint8), np.array([1, 9])
    axes = garments.visualize(garments.to_tensors(X, y), ncols=2)
    assert [ax.get_title() for ax in axes.flatten()] == ["trouser", "ankle boot"]


def test_batches_of_garments(figures, d2l):
    data = d2l.FashionMNIST(batch_size=8, num_train=16, num_val=8)
    X, y = next(iter(data.train_dataloader()))
    assert tuple(X.shape) == native(d2l, (8, 1, 28, 28))
    assert (tuple(y.shape), X.dtype) == ((8,), d2l.float32)
    pixels = array(d2l, X)
    assert 0 <= pixels.min() < pixels.max() <= 1
    axes = data.visualize([X, y])
    assert axes.flatten()[0].get_title() in data.text_labels(range(10))
    assert data.text_labels(y) == data.text_labels(d2l.numpy(y))


def test_batches_of_tensors(d2l):
    """Their type and dtype are those of the tensors that the loader is given."""

    class Tensors(d2l.DataModule):
        batch_size = 4

        def get_dataloader(self, train):
            part = slice(0, 7) if train else [1, 8]
            return self.get_tensorloader((self.X, self.X + 10), train, part)

    data = Tensors()
    data.X = d2l.reshape(d2l.arange(18), (9, 2))
    for X, y in data.train_dataloader():
        assert type(X) is type(y) is type(data.X)
        assert X.dtype == data.X.dtype
        assert (d2l.numpy(y) == d2l.numpy(X) + 10).all()
    [(X, _)] = data.val_dataloader()
    assert d2l.numpy(X).tolist() == [[2, 3], [16, 17]]


def test_augmented_garments(d2l, backend, figures):
    """The pixels are NumPy's to the bit; validation has them as they are."""
    changes = d2l.RandomShift(2), d2l.RandomErasing(value="random")
    for augment in (changes, (*changes, d2l.MixUp(0.4))):
        data = d2l.FashionMNIST(8, num_train=12, num_val=8, augment=augment)
        loader = data.train_dataloader()
        [plain, *_] = d2l.FashionMNIST(8, num_train=12, num_val=8).val_dataloader()
        [val, *_] = data.val_dataloader()
        np.testing.assert_array_equal(array(d2l, val[0]), array(d2l, plain[0]))
        loader.convert, convert = lambda *batch: batch, loader.convert
        expected = list(loader)
        loader.convert, loader.epoch = convert, 0
        for (X, y), (pixels, labels) in zip(loader, expected, strict=True):
            assert (pixels.dtype, pixels.max() <= 1) == (np.float32, True)
            np.testing.assert_array_equal(array(d2l, X), pixels)
            np.testing.assert_array_equal(d2l.numpy(y), labels)
            assert X.dtype == d2l.float32
    assert y.dtype == d2l.float32
    shares = d2l.numpy(y)[0]
    [first, *_] = data.text_labels(y)
    name, share = first.split(", ")[0].rsplit(" ", 1)
    assert data.text_labels([shares.argmax()]) == [name]
    assert float(share) == pytest.approx(shares.max(), abs=0.005)
    data.visualize([X, y], ncols=4)
    assert "augment" in data.hparams
    assert "augment" not in d2l.FashionMNIST(num_train=8).hparams
