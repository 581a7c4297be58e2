"""Numbers that are not finite, labels that are no class: noticed, and by their cause."""

import contextlib

import numpy as np
import pytest
from shared.frameworks import small, tensor
from shared.random_images import images
from shared.selected import in_backends

from d2lext.core.data.datamodule import DataModule
from d2lext.core.training import checkpoint

pytestmark = pytest.mark.usefixtures("whole_runs")


class Arrays(DataModule):
    """Images and labels in batches of 4: the first 8 train, 4 validate, 4 are a test."""

    def __init__(self, d2l, X, y):
        super().__init__()
        batches = range(0, len(X), 4)
        X, y = tensor(d2l, X), tensor(d2l, y)
        self.all = [(X[i : i + 4], y[i : i + 4]) for i in batches]

    def get_dataloader(self, train):
        return self.all[:2] if train else self.all[2:3]

    def test_dataloader(self):
        return iter(self.all[3:])


@pytest.fixture
def arrays():
    """16 images and their labels, to be spoilt."""
    return images((16, 1, 8, 8))


@pytest.fixture
def fit(d2l, framework):
    """A function that trains on arrays: a linear model, or a DenseNet with its ReLU."""

    def fit(arrays, linear=False, lr=0.01, **options):
        trainer = d2l.Trainer(max_epochs=1, **options)
        model = framework.Linear(lr=lr) if linear else small(d2l, (1,), lr=lr)
        trainer.fit(model, Arrays(d2l, *arrays))
        return trainer

    return fit


# The loss.


def cross_entropy(logits, labels):
    """By arithmetic: (its value for each example, its gradient by the logits)."""
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(p)), labels]), p - np.eye(p.shape[1])[labels]


@pytest.mark.parametrize("label", [3, -1, -100, 256])
def test_the_loss_of_a_label_outside(d2l, backend, framework, label):
    logits = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    labels = np.array([0, 2, label, 1])
    good = np.array([True, True, False, True])
    expected, slope = cross_entropy(logits, np.where(good, labels, 0))
    rounding = 1e-4 if backend == "mxnet" else 1e-5  # whose logarithm is quick

    def each(logits):
        return framework.loss(logits, tensor(d2l, labels), averaged=False)

    found = d2l.numpy(each(tensor(d2l, logits)))
    np.testing.assert_allclose(found[good], expected[good], rtol=rounding)
    assert np.isnan(found[~good]).all()
    mean = framework.loss(tensor(d2l, logits), tensor(d2l, labels))
    assert np.isnan(float(mean))
    gradient = framework.gradient(each, logits)
    np.testing.assert_allclose(gradient[good], slope[good], rtol=1e-3, atol=1e-6)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_labels_of_any_type(d2l, backend, framework, dtype):
    """More classes than a byte can tell; the predictions are 0, 255 and 256."""
    logits = np.eye(300, dtype=np.float32)[[0, 255, 256]]
    labels = np.array([0, 1, 0])
    expected, _ = cross_entropy(logits, labels)
    y = labels.astype(dtype)
    y = d2l.tensor(y) if backend == "torch" else d2l.tensor(y, dtype=y.dtype)
    mean = float(framework.loss(tensor(d2l, logits), y))
    assert mean == pytest.approx(expected.mean(), rel=1e-4)
    accuracy = float(framework.accuracy(tensor(d2l, logits), y))
    assert accuracy == pytest.approx(1 / 3)


def test_labels_that_are_no_numbers_of_classes(d2l, framework):
    logits = tensor(d2l, np.zeros((1, 3), np.float32))
    assert np.isnan(float(framework.loss(logits, d2l.tensor([0.5]))))
    one_hot = tensor(d2l, np.array([[0, 1, 0]]))
    for measure in framework.loss, framework.accuracy:
        with pytest.raises(
            ValueError, match=r"each of the 1 examples.*\(1, 3\).*argmax"
        ):
            measure(logits, one_hot)


# Training.


def test_an_image_that_is_not_finite(tmp_path, fit, arrays):
    arrays[0][5, 0, 3, 3] = -np.inf
    path = tmp_path / "one.npz"
    with pytest.raises(FloatingPointError, match="must stay finite, got") as caught:
        fit(arrays, checkpoint=path)
    said = str(caught.value)
    assert (
        "in epoch 1: the training set has -inf at index 1 of batch 2: correct" in said
    )
    assert "learning rate" not in said
    record, saved = checkpoint.load(path)
    assert record["epoch"] == 0
    assert all(np.isfinite(a).all() for n, a in saved.items() if n.startswith("model/"))


@pytest.mark.parametrize("label", [10, -1])
def test_a_label_outside(fit, arrays, label):
    arrays[1][6] = label
    with pytest.raises(FloatingPointError, match="training loss") as caught:
        fit(arrays, linear=True)
    said = str(caught.value)
    assert (
        f"has the label {label} at index 2 of batch 2: take labels from 0 to 9" in said
    )


def test_a_label_outside_in_validation(fit, arrays):
    arrays[1][8] = 10
    said = "in epoch 1: the validation set has the label 10 at index 0 of batch 1"
    with pytest.raises(FloatingPointError, match=said):
        fit(arrays, linear=True)


def test_an_image_that_is_not_finite_in_validation_and_test(d2l, fit, arrays):
    trainer = fit(arrays)
    trainer.test(trainer.data)
    assert np.isfinite(list(trainer.test_metrics.values())).all()
    arrays[0][[8, 12]] = np.nan
    spoilt = Arrays(d2l, *arrays)
    validated = trainer.evaluate(spoilt.val_dataloader()).means()
    assert np.isnan(validated["val_loss"])
    said = "test loss must .* nan: the test set has nan at index 0 of batch 1: correct"
    with pytest.raises(FloatingPointError, match=said):
        trainer.test(spoilt)


def test_weights_that_are_not_finite_without_a_fault_in_the_data(fit, arrays):
    """The loss need not tell: ReLU may have turned NaN into 0."""
    with pytest.raises(FloatingPointError, match="in epoch 1 with lr=1e") as caught:
        fit(arrays, lr=1e38)
    assert "lower the learning rate" in str(caught.value)


@in_backends("torch")  # the habit of PyTorch's users
def test_a_mask_may_be_infinite(d2l, framework, arrays):
    model = framework.Linear()
    model.register_buffer("mask", d2l.tensor([0.0, -np.inf]))
    d2l.Trainer(1).fit(model, Arrays(d2l, *arrays))


# A batch of one example.


@pytest.fixture
def one_left(d2l):
    """A function that makes data whose last batch has one image of a size."""

    def make(size, known=True):
        class Five(Arrays):
            def get_dataloader(self, train):
                batches = self.all if train else self.all[:1]
                return batches if known else iter(batches)

        return Five(d2l, *images((5, 1, size, size)))

    return make


@pytest.mark.parametrize("known", [True, False])
def test_one_value_per_channel(d2l, one_left, known):
    """4x4 pixels become 1x1 in the stem. A list is known before the first step."""
    trainer = d2l.Trainer(1)
    rule = "at least two values per channel, got a single one in batch 2 of the"
    with pytest.raises(ValueError, match=rule):
        trainer.fit(small(d2l, (1,)), one_left(4, known))
    assert trainer.train_batch_idx == (0 if known else 1)


def test_one_image_of_several_values_per_channel(d2l, one_left):
    trainer = d2l.Trainer(1)
    trainer.fit(small(d2l, (1,), lr=0.01), one_left(8))
    assert trainer.num_train_examples == 5
    values = trainer.values_per_channel(trainer.prepare_batch(trainer.sample))
    assert values == [4 * 4 * 4, 4 * 2 * 2, 4 * 2 * 2]  # stem, block, head


# A batch of no example, and a loss that is not a mean.


@pytest.mark.parametrize(
    ("part", "known"),
    [("train", True), ("train", False), ("val", False), ("test", False)],
)
def test_a_batch_without_an_example(d2l, framework, arrays, part, known):
    """Noticed before it is computed, and in a list of training batches before any step."""
    data = Arrays(d2l, *arrays)
    batches = getattr(data, f"{part}_dataloader")()
    X, y = data.all[0]
    batches = [*batches, (X[:0], y[:0])]
    setattr(data, f"{part}_dataloader", lambda: batches if known else iter(batches))
    words = {"train": "training", "val": "validation", "test": "test"}
    rule = f"one example, got none in batch {len(batches)} of the {words[part]} set"
    trainer = d2l.Trainer(1)
    if part == "test":
        trainer.fit(framework.Linear(), data)
    with pytest.raises(ValueError, match=rule):
        trainer.test(data) if part == "test" else trainer.fit(framework.Linear(), data)
    assert trainer.train_batch_idx == (0 if known else 2)


def test_a_first_batch_without_an_example(d2l, framework, arrays):
    data = Arrays(d2l, *arrays)
    data.all[0] = data.all[0][0][:0], data.all[0][1][:0]
    with pytest.raises(ValueError, match="got none in batch 1 of the training set"):
        d2l.Trainer(1).fit(framework.Linear(), data)


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_batch_with_keys(d2l, framework, arrays, part):
    """Which of them are labels, nobody knows."""
    trainer, data = d2l.Trainer(1), Arrays(d2l, *arrays)
    batches = [{"image": X, "label": y} for X, y in data.all]
    if part == "test":
        trainer.fit(framework.Linear(), data)
    setattr(data, f"{part}_dataloader", lambda: batches)
    rule = (
        "^each batch must be a tuple .* labels, got dict of image, label in batch 1 of"
    )
    with pytest.raises(TypeError, match=rule):
        trainer.test(data) if part == "test" else trainer.fit(framework.Linear(), data)


def test_a_batch_without_labels(d2l, framework, arrays):
    data = Arrays(d2l, *arrays)
    data.train_dataloader = lambda: [X for X, _ in data.all]
    with pytest.raises(
        TypeError, match="got .* of one array in batch 1 of the training"
    ):
        d2l.Trainer(1).fit(framework.Linear(), data)


def test_an_evaluation_without_an_example(d2l, framework, arrays):
    trainer, data = d2l.Trainer(1), Arrays(d2l, *arrays)
    trainer.fit(framework.Linear(), data)
    X, y = data.all[0]
    with pytest.raises(ValueError, match="got none in batch 1 of the validation set"):
        trainer.evaluate([(X[:0], y[:0])])
    data.test_dataloader = lambda: []
    with pytest.raises(ValueError, match="the test set must hold at least one batch"):
        trainer.test(data)


def test_a_loss_for_each_example(d2l, framework, arrays):
    """Noticed before any step: the sum of their gradients would be another one."""

    class Each(framework.Linear):
        def loss(self, *args):
            return super().loss(*args, averaged=False)

    trainer = d2l.Trainer(1)
    rule = r"^the loss of a batch must be one number, got the .* \(4,\): take the mean"
    with pytest.raises(ValueError, match=rule):
        trainer.fit(Each(), Arrays(d2l, *arrays))
    assert trainer.train_batch_idx == 0


class Two(Arrays):
    """Vectors of 3 features, in two parts, with one label each."""

    def get_dataloader(self, train):
        return [(X[:, :2], X[:, 2:], y) for X, y in super().get_dataloader(train)]


@pytest.mark.parametrize("kind", ["each with each", "reshaped", "no labels"])
def test_a_loss_of_each_prediction_and_each_label(d2l, backend, framework, kind):
    """(n, 1) less (n,) is (n, n), which no loss of n examples wants."""

    def error(y_hat, y):
        if kind == "no labels":
            return d2l.reduce_mean(y_hat)
        y = d2l.astype(y, d2l.float32)
        if kind == "reshaped":
            y = d2l.reshape(y, y_hat.shape)
        return d2l.reduce_mean((y_hat - y) ** 2)

    class Own(framework.Regression):
        def loss(self, *args):
            if backend != "jax":
                return error(*args)
            params, X, y, state = args
            return error(state.apply_fn({"params": params}, *X), y)

    rng = np.random.default_rng(0)
    data = Two(d2l, rng.random((12, 3), np.float32), rng.integers(10, size=12))
    rule = r"^a loss must compare each .* the shapes \(4, 1\) and \(4,\), which it"
    refused = pytest.raises(ValueError, match=rule)
    with refused if kind == "each with each" else contextlib.nullcontext():
        d2l.Trainer(1).fit(Own(), data)


def test_a_metric_for_each_example(d2l, framework, arrays):
    class Each(framework.Linear):
        def accuracy(self, *args):
            return super().accuracy(*args, averaged=False)

    rule = r"the validation accuracy of a batch must .* \(4,\): take the mean"
    with pytest.raises(ValueError, match=rule):
        d2l.Trainer(1).fit(Each(), Arrays(d2l, *arrays))
