"""The first chapter's network in each framework."""

import math
from itertools import takewhile

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from shared.frameworks import array, native, small, tensor
from shared.random_images import Data, images

pytestmark = pytest.mark.usefixtures("whole_runs")

# The layers of the chapter's network with their outputs (c, h, w).
BODY = [
    ("DenseBlock", (192, 24, 24)),
    ("TransitionBlock", (96, 12, 12)),
    ("DenseBlock", (224, 12, 12)),
    ("TransitionBlock", (112, 6, 6)),
    ("DenseBlock", (240, 6, 6)),
    ("TransitionBlock", (120, 3, 3)),
    ("DenseBlock", (248, 3, 3)),
]


def named(names, *shapes):
    """(name, shape) of each layer."""
    return list(zip(names.split(), shapes, strict=True))


HALF, QUARTER, LAST = (64, 48, 48), (64, 24, 24), (248, 3, 3)
SUMMARIES = {  # stem and head
    "torch": (
        named("Conv2d BatchNorm2d ReLU MaxPool2d", HALF, HALF, HALF, QUARTER),
        named(
            "BatchNorm2d ReLU AdaptiveAvgPool2d Flatten Linear",
            *[LAST, LAST, (248, 1, 1), (248,), (10,)],
        ),
    ),
    "mxnet": (
        named("Conv2D BatchNorm Activation MaxPool2D", HALF, HALF, HALF, QUARTER),
        named(
            "BatchNorm Activation GlobalAvgPool2D Flatten Dense",
            *[LAST, LAST, (248, 1, 1), (248,), (10,)],
        ),
    ),
    "jax": (
        named("Conv BatchNorm relu max_pool", HALF, HALF, HALF, QUARTER),
        named("BatchNorm relu global_avg_pool Dense", LAST, LAST, (248,), (10,)),
    ),
    "tensorflow": (
        named(
            "ZeroPadding2D Conv2D BatchNormalization ReLU ZeroPadding2D MaxPooling2D",
            *[(1, 102, 102), HALF, HALF, HALF, (64, 50, 50), QUARTER],
        ),
        named(
            "BatchNormalization ReLU GlobalAveragePooling2D Dense",
            *[LAST, LAST, (248,), (10,)],
        ),
    ),
}


def built(d2l):
    """A network of two blocks, built for images (1, 16, 16)."""
    model = small(d2l)
    model.layer_summary(native(d2l, (1, 1, 16, 16)))
    return model


@pytest.fixture(scope="module")
def densenet(d2l, framework):
    """The chapter's network, built."""
    framework.seed(0)
    model = d2l.DenseNet()
    model.layer_summary(native(d2l, (1, 1, 96, 96)))
    return model


@pytest.fixture(scope="module")
def trained(d2l, whole_runs):
    """The trainer of a small network; its `weights` are those after each epoch.

    An epoch is one step, with all 20 examples.
    """

    class Trainer(d2l.Trainer):
        def fit_epoch(self):
            super().fit_epoch()
            self.weights.append(d2l.get_weights(self.model))

    trainer, model = Trainer(max_epochs=20, precision="fp32"), built(d2l)
    trainer.weights = [d2l.get_weights(model)]
    trainer.fit(model, Data(d2l, batch_size=20))
    return trainer


def test_growth(d2l, framework):
    X = images((4, 3, 8, 8))[0]
    inputs = tensor(d2l, X)
    grown = framework.first_output(d2l.DenseBlock(2, 10), inputs)
    Y = array(d2l, grown)
    assert Y.shape == (4, 23, 8, 8)
    assert np.array_equal(Y[:, :3], X), "the input comes first, unaltered"
    new = array(d2l, framework.first_output(d2l.ConvBlock(10), inputs))
    assert new.shape == (4, 10, 8, 8), "new features alone"
    halved = array(d2l, framework.first_output(d2l.TransitionBlock(10), grown))
    assert halved.shape == (4, 10, 4, 4)


def test_layer_summary_changes_nothing(capsys, d2l, backend, framework, densenet):
    before = framework.weights(densenet) + framework.statistics(densenet)
    densenet.layer_summary(native(d2l, (1, 1, 96, 96)))
    stem, head = SUMMARIES[backend]
    lines = stem + BODY + head
    assert capsys.readouterr().out.splitlines() == [
        f"{name:<23} {native(d2l, (1, *shape))}" for name, shape in lines
    ]
    after = framework.weights(densenet) + framework.statistics(densenet)
    assert all(map(np.array_equal, before, after))
    modes = [getattr(model, "training", None) for model in (densenet, d2l.DenseNet())]
    assert modes[0] == modes[1]


def test_parameters(d2l, densenet):
    assert d2l.num_params(densenet) == 758_226


def test_channels_accumulate(d2l, densenet):
    weights = d2l.get_weights(densenet)
    transitions = [a for name, a in weights.items() if "transition" in name]
    assert [a.shape[0] for a in transitions if a.ndim == 4] == [96, 112, 120]
    assert weights["classifier.weight"].shape == (10, 248)


def test_initialisation_is_xavier_although_layers_wait_for_their_input(d2l, densenet):
    weights = d2l.get_weights(densenet)
    kernels = {name: a for name, a in weights.items() if a.ndim > 1}
    assert len(kernels) == 1 + 16 + 3 + 1
    for name, kernel in kernels.items():
        channels_out, channels_in, *window = kernel.shape
        limit = math.sqrt(6 / (math.prod(window) * (channels_in + channels_out)))
        assert np.abs(kernel).max() <= limit
        assert kernel.std() == pytest.approx(limit / math.sqrt(3), rel=0.05)
        assert not weights[name.replace("weight", "bias")].any()


def test_layers_are_initialised_once(d2l, framework):
    model = built(d2l)
    before = framework.weights(model)
    framework.forward(model, tensor(d2l, images((2, 1, 16, 16))[0]), training=True)
    assert all(map(np.array_equal, before, framework.weights(model)))


def test_batch_normalization_is_spelled_out(framework, densenet):
    norms = framework.norms(densenet)
    assert len(norms) == 1 + 16 + 3 + 1
    assert all(norm == (1e-5, pytest.approx(0.9)) for norm in norms)


def test_padding_of_the_stem(d2l, framework):
    # A kernel that copies the pixel at its centre shows where the windows lie. With
    # 3 pixels of padding before stride 2, and 1 before the pool, the corner of the
    # first window of the pool is pixel (2, 2); "same" would give another one.
    model = d2l.DenseNet(num_channels=1, arch=(1,))
    model.layer_summary(native(d2l, (1, 1, 96, 96)))
    weights = d2l.get_weights(model)
    kernel = np.eye(49, dtype=np.float32)[24].reshape(1, 1, 7, 7)
    d2l.set_weights(model, weights | {"features.conv0.weight": kernel})
    X = np.arange(1, 96 * 96 + 1, dtype=np.float32).reshape(1, 1, 96, 96)
    Y = tensor(d2l, X)
    layers = framework.layers(model)
    for layer in takewhile(lambda layer: not isinstance(layer, d2l.DenseBlock), layers):
        Y = layer(Y)
    expected = X[:, :, 2::4, 2::4] / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(array(d2l, Y), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"growth_rate": 0}, r"growth_rate must be an integer >= 1, got 0"),
        ({"num_channels": 1.5}, r"num_channels must be an integer >= 1, got 1.5"),
        ({"num_channels": -1}, r"num_channels must be an integer >= 1, got -1"),
        (
            {"arch": ()},
            r"arch must hold at least one integer, each >= 1, got \(\): pass a tuple .*",
        ),
        ({"arch": (4, 0)}, r"arch must hold at least one integer, .* got \(4, 0\): .*"),
    ],
)
def test_wrong_hyperparameters(d2l, wrong, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        d2l.DenseNet(**wrong)


def test_an_image_that_is_too_small(d2l, framework):
    arch = (1, 1, 1, 1)
    message = "^DenseNet needs images of at least 29x29 pixels, got 28x28: enlarge"
    with pytest.raises(ValueError, match=message):
        framework.first_output(small(d2l, arch), tensor(d2l, images((2, 1, 28, 28))[0]))
    with pytest.raises(ValueError, match=message):
        d2l.Trainer(max_epochs=1).fit(small(d2l, arch), Data(d2l, (1, 28, 28)))
    X = tensor(d2l, images((2, 1, 29, 29))[0])
    assert framework.first_output(small(d2l, arch), X).shape == (2, 10)


def test_a_class_of_ones_own_says_what_is_smallest(d2l):
    """With a stem that halves nothing, say."""
    own = type("DenseNet", (d2l.DenseNet,), {"min_image_size": 8})
    assert own().min_image_size == 8
    model = d2l.DenseNet(arch=(2, 2))
    assert (model.min_image_size, d2l.DenseNetBC().min_image_size) == (5, 29)
    with pytest.raises(ValueError, match="^num_classes must be an integer >= 1"):
        own(num_classes=0)


@pytest.mark.parametrize("shape", [(3, 1, 16, 16), (5, 1, 24, 40)])
def test_built_at_one_size_called_at_another(d2l, shape):
    assert d2l.predict(built(d2l), images(shape)[0]).shape == (shape[0], 10)


# Training.


def test_normalization_learns_its_statistics(d2l, backend, trained):
    """From the first step's examples; the oracle is a convolution by NumPy."""
    before, after, *_ = trained.weights
    [(X, _)] = trained.data.train_dataloader()
    padded = np.pad(array(d2l, X), ((0, 0), (0, 0), (3, 3), (3, 3)))
    windows = sliding_window_view(padded, (7, 7), axis=(2, 3))[:, :, ::2, ::2]
    Y = np.einsum("ncijhw,ochw->noij", windows, before["features.conv0.weight"])
    mean, variance = Y.mean(axis=(0, 2, 3)), Y.var(axis=(0, 2, 3))
    if backend == "torch":  # which estimates it as that of a sample
        n = Y.size / Y.shape[1]
        variance *= n / (n - 1)
    found = after["features.norm0.running_mean"], after["features.norm0.running_var"]
    np.testing.assert_allclose(found[0], 0.1 * mean, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found[1], 0.9 + 0.1 * variance, rtol=1e-4)
    means = [a for name, a in after.items() if name.endswith("running_mean")]
    assert len(means) == 1 + 2 + 1 + 1
    assert all(a.all() for a in means)


def test_evaluation_uses_the_statistics_and_leaves_them(d2l, framework, trained):
    model, before = trained.model, framework.statistics(trained.model)
    [batch] = trained.data.val_dataloader()
    trained.eval_step(trained.prepare_batch(batch))
    assert all(map(np.array_equal, before, framework.statistics(model)))
    # No example depends on its neighbours in the batch.
    X = array(d2l, batch[0])
    others = X.copy()
    others[1:] += 1
    Y, beside_others = (d2l.predict(model, a) for a in (X, others))
    assert np.array_equal(beside_others[0], Y[0])
    assert not np.allclose(beside_others[1], Y[1])
    in_training = d2l.examine(model, X, np.zeros(len(X), np.int64)).logits
    assert not np.allclose(in_training, Y, rtol=1e-2)


def test_training_lowers_the_loss(trained):
    first, *_, last = trained.history
    assert last["train_loss"] < 0.8 * first["train_loss"]


def test_every_parameter_learns(trained):
    """A bias in front of a normalization is subtracted again: it moves by rounding."""
    _, first, *_, last = trained.weights
    assert [name for name, a in first.items() if np.array_equal(a, last[name])] == []
