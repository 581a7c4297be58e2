"""Parity: the four implementations compute the same numbers from the same weights.

Every framework is compared with PyTorch, in float32 on the CPU.
"""

import functools
import json
import math
import re

import numpy as np
import pytest
from shared.selected import BACKENDS, d2l

from benchmarks import ours
from d2lext.core.data.minibatches import Batches
from d2lext.core.densenet import parity, registry
from d2lext.core.densenet.initializers import he_normal, initial_weights, xavier_uniform
from d2lext.core.frameworks import IDS

pytestmark = [
    pytest.mark.skipif(
        bool(BACKENDS) and set(BACKENDS) != set(IDS),
        reason="compares all four frameworks, and --backend chose some",
    ),
    pytest.mark.usefixtures("optimized"),
]
OTHERS = [backend for backend in IDS if backend != "torch"]

SMALL = {
    "num_channels": 8,
    "growth_rate": 4,
    "arch": (2, 2, 3),
    "num_classes": 10,
    "in_channels": 1,
}
# All kinds: without and with bottleneck, compression, biases, and both stems; for each
# the height and width of its images, in pixels. They are small: where the input of a ReLU
# is within rounding of zero, frameworks may take different sides of the kink, and
# gradients jump; among few numbers none does.
SIZES = {
    "densenet_d2l": 32,
    "densenet121": 32,
    "densenet_40_12": 8,
    "densenet_bc_100_12": 8,
}
FIRST = "densenet_d2l"  # the first chapter's; a quick run tries no other
KINDS = [pytest.param(k, marks=() if k == FIRST else pytest.mark.slow) for k in SIZES]


def images(n, size=32, seed=0):
    """Images (n, 1, size, size) and their labels."""
    rng = np.random.default_rng(seed)
    X = rng.random((n, 1, size, size), dtype=np.float32)
    return X, rng.integers(0, 10, n)


def perturbed(weights, seed=1):
    """`weights` with biases and statistics that are neither 0 nor 1."""
    rng = np.random.default_rng(seed)
    changed = {}
    for name, array in weights.items():
        if array.ndim == 1:
            array = array + rng.uniform(-0.1, 0.3, array.shape).astype(np.float32)
        changed[name] = array
    return changed


def build(backend, kind, **options):
    """A small network with weights that are the same in every framework."""
    model = d2l(backend).create_model(kind, **SMALL | options)
    d2l(backend).set_weights(model, perturbed(d2l(backend).get_weights(model)))
    return model


def assert_same(what, a, b):
    """The numbers `a` and `b` agree within the tolerance of their kind."""
    largest = parity.difference(a, b)
    assert largest <= parity.TOLERANCES[what], (
        f"{what}: {largest:.1e} > {parity.TOLERANCES[what]:.0e}"
    )


def population(statistics, start, architecture, size, steps=1):
    """PyTorch's running statistics as the other frameworks keep them; batches of 8."""
    counts = {k: 8 * n for k, n in parity.pixels(architecture, size).items()}
    return parity.population(statistics, start, counts, steps)


@pytest.fixture(scope="module")
def computed():
    """A framework's logits, step and model of a kind of network: computed once."""

    @functools.cache
    def compute(backend, kind):
        X, y = images(8, SIZES[kind])
        model = build(backend, kind)
        return d2l(backend).predict(model, X), d2l(backend).examine(model, X, y), model

    return compute


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "backend",
    # JAX compiles for ten seconds, as for readers.
    [pytest.param(b, marks=pytest.mark.slow if b == "jax" else ()) for b in OTHERS],
)
def test_one_step(backend, kind, computed):
    expected_logits, expected, torch_model = computed("torch", kind)
    logits, step, _ = computed(backend, kind)
    assert_same("logits, evaluation", logits, expected_logits)
    assert_same("logits, training", step.logits, expected.logits)
    assert_same("loss", step.loss, expected.loss)
    assert_same("gradients", step.gradients, expected.gradients)
    statistics = population(
        expected.statistics,
        d2l("torch").get_weights(torch_model),
        d2l("torch").architecture_of(torch_model),
        SIZES[kind],
    )
    assert_same("statistics", step.statistics, statistics)


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_quickly")
@pytest.mark.parametrize("backend", IDS)
def test_examine_leaves_the_model_alone(backend):
    X, y = images(8)
    model = build(backend, "densenet121", dropout=0.5, arch=(1, 1))
    before = d2l(backend).get_weights(model)
    predicted = d2l(backend).predict(model, X)
    d2l(backend).examine(model, X, y)
    after = d2l(backend).get_weights(model)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert np.array_equal(d2l(backend).predict(model, X), predicted)


def test_a_wrong_epsilon_is_found(computed):
    X, _ = images(8)
    logits, _, _ = computed("torch", FIRST)
    model = build("torch", FIRST)
    for module in model.modules():
        if hasattr(module, "eps"):
            module.eps = 1e-3
    with pytest.raises(AssertionError, match="logits, evaluation"):
        assert_same("logits, evaluation", d2l("torch").predict(model, X), logits)


def test_a_wrong_padding_is_found(computed, monkeypatch):
    X, _ = images(8)
    logits, _, _ = computed("torch", FIRST)
    _, _, model = computed("tensorflow", FIRST)
    # What "same" would do for a stride of 2: one pixel less before than after.
    monkeypatch.setattr(model.net.layers[0], "padding", ((2, 3), (2, 3)))
    with pytest.raises(AssertionError, match="logits, evaluation"):
        assert_same("logits, evaluation", d2l("tensorflow").predict(model, X), logits)


def test_an_unconverted_variance_is_found(computed):
    _, expected, _ = computed("torch", FIRST)
    _, step, _ = computed("tensorflow", FIRST)
    with pytest.raises(AssertionError, match="statistics"):
        assert_same("statistics", step.statistics, expected.statistics)


TRAINED = SMALL | {"arch": (2, 2)}
TRAINING = {
    "plain": {},
    "momentum and weight decay": {"momentum": 0.9, "weight_decay": 1e-2},
}


@pytest.fixture(scope="module")
def trained():
    """Losses and weights of ten steps in a framework: computed once."""
    computed = {}

    def train(backend, recipe):
        if (backend, recipe) not in computed:
            computed[backend, recipe] = ten_steps(d2l(backend), TRAINING[recipe])
        return computed[backend, recipe]

    return train


def batches_of(d2l, validation=True):
    """A data set of 16 images in batches of 8, for `d2l`'s trainer."""
    X, y = images(16)
    pixels = np.round(X[:, 0] * 255).astype(np.uint8)

    class Images(d2l.DataModule):
        def get_dataloader(self, train):
            to_tensors = functools.partial(d2l.FashionMNIST.to_tensors, self)
            if train or validation:
                return Batches(pixels, y, 8, train, self.seed, to_tensors)
            return None

    return Images()


def ten_steps(d2l, recipe):
    """The losses of ten steps of a Trainer, and the weights after them."""
    model = d2l.create_model("densenet_d2l", **TRAINED, lr=0.05, **recipe)
    trainer = d2l.Trainer(max_epochs=5, precision="fp32")
    losses = ours.losses(trainer)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("D2LEXT_FAST")
        trainer.fit(model, batches_of(d2l))
    return losses, d2l.get_weights(model)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", TRAINING)
@pytest.mark.parametrize("backend", OTHERS)
def test_ten_steps(backend, recipe, trained):
    losses, weights = trained(backend, recipe)
    expected_losses, expected_weights = trained("torch", recipe)
    assert len(losses) == 10
    assert losses[-1] < 0.9 * losses[0]
    assert_same("losses of 10 steps", losses, expected_losses)
    architecture = d2l("torch").architecture("densenet_d2l", **TRAINED)
    start = initial_weights(architecture, 0)
    expected_weights = population(expected_weights, start, architecture, 32, steps=10)
    assert_same("weights after 10 steps", weights, expected_weights)


@pytest.mark.slow
@pytest.mark.parametrize("backend", IDS)
def test_recipes_differ(backend, trained):
    plain, decayed = (trained(backend, recipe)[0] for recipe in TRAINING)
    assert (
        parity.difference(decayed, plain)
        > 100 * parity.TOLERANCES["losses of 10 steps"]
    )


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("backend", IDS)
def test_seed_gives_the_same_weights_everywhere(backend, seed):
    options = {"num_channels": 8, "growth_rate": 4, "arch": (2, 3)}
    created = d2l(backend).create_model("densenet_d2l", seed=seed, **options)
    weights = d2l(backend).get_weights(created)
    architecture = d2l(backend).architecture("densenet_d2l", **options)
    expected = initial_weights(architecture, seed, xavier_uniform)
    assert all(np.array_equal(weights[name], expected[name]) for name in expected)


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_quickly")
@pytest.mark.parametrize("backend", IDS)
@pytest.mark.parametrize("name", ["DenseNet", "DenseNetBC"])
def test_trainer_gives_a_new_model_the_weights_of_its_seed(backend, name):
    """With a learning rate of 0, what training leaves are the initial weights."""
    package = d2l(backend)
    options = {"num_channels": 8, "growth_rate": 4, "arch": (1, 2), "num_classes": 10}
    model = getattr(package, name)(lr=0.0, **options)
    trainer = package.Trainer(max_epochs=1, seed=5, precision="fp32")
    trainer.fit(model, batches_of(package, validation=False))
    kind, draw = "densenet121", he_normal
    if name == "DenseNet":
        kind, draw = "densenet_d2l", xavier_uniform
    architecture = package.architecture(kind, **options, in_channels=1)
    expected = initial_weights(architecture, 5, draw)
    weights = package.get_weights(model)
    for key in expected:
        if "running" not in key:
            assert np.array_equal(weights[key], expected[key]), key


def test_initial_weights_follow_the_documented_distributions():
    """Bounds and deviations from the formulas of Glorot and He, on large layers."""
    rng = np.random.default_rng(0)
    weights = xavier_uniform((200, 100, 3, 3), rng)
    limit = math.sqrt(6 / (9 * 300))
    assert np.abs(weights).max() == pytest.approx(limit, rel=1e-3)
    assert weights.std() == pytest.approx(limit / math.sqrt(3), rel=1e-2)
    weights = he_normal((200, 100, 3, 3), rng)
    assert weights.std() == pytest.approx(math.sqrt(2 / 900), rel=1e-2)


def test_the_recorded_trainings_are_as_alike_as_the_first_chapter_says(root):
    """The same training losses and best epochs; where they stop is partly luck."""
    losses, accuracies, best = [], [], []
    for backend in IDS:
        text = (root / "notebooks" / backend / "01-densenet.ipynb").read_text("utf-8")
        # First its own training; records of other ones follow.
        loss, *_ = re.findall(r"training loss ([\d.]+),", text)
        accuracy, *_ = re.findall(
            r"validation loss .*validation accuracy ([\d.]+)", text
        )
        highest, *_ = re.findall(r"best validation accuracy ([\d.]+),", text)
        losses.append(float(loss))
        accuracies.append(float(accuracy))
        best.append(float(highest))
    assert max(losses) - min(losses) < 0.01
    # Closer together or farther apart, and the paragraph must be rewritten.
    assert 0.01 < max(best) - min(best) < 0.02
    assert 0.02 < max(accuracies) - min(accuracies) < 0.03


def test_the_recorded_comparison_is_as_the_third_chapter_says(root):
    """Who strays how far from whom: farther or less far, and the text must change."""
    file = root / "notebooks" / "torch" / "03-one-network.ipynb"
    cells = json.loads(file.read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    shown = "".join("".join(output.get("text", "")) for output in outputs)
    table = re.findall(
        r"^(\w.*?) +last losses ([\d.]+), validation accuracy ([\d.]+)$", shown, re.M
    )
    loss = {name: float(number) for name, number, _ in table}
    accuracy = {name: float(number) for name, _, number in table}
    # The trainer's report and the chapter count the same images.
    (reported,) = re.findall(r"6,400 images.*\n.*validation accuracy ([\d.]+)", shown)
    assert float(reported) == accuracy["original"]
    assert accuracy["port"] < accuracy["original"] - 0.2
    assert loss["port"] > 1.5 * loss["original"]
    assert loss["all but momentum"] == pytest.approx(loss["original"], rel=0.2)
    assert loss["repaired"] == pytest.approx(loss["original"], rel=0.2)
    # Of ten classes, as by guessing.
    assert accuracy["all but momentum"] < min(0.15, accuracy["port"])
    assert abs(accuracy["repaired"] - accuracy["original"]) < 0.06
    gradients, others = map(
        float,
        re.findall(r"gradients ([\d.e-]+), of anything else ([\d.e-]+)", shown)[0],
    )
    assert 1e-4 < gradients < 5e-4
    assert 1e-6 < others < 1e-5
    drifts = re.findall(
        r"^(\w.*?) +first steps ([\d.e, -]+); largest ([\d.]+)$", shown, re.M
    )
    assert [name for name, *_ in drifts] == [
        *("MXNet", "JAX", "TensorFlow"),
        "PyTorch, backwards",
    ]
    for _, steps, _ in drifts:
        first, second, _, fourth = map(float, steps.split(", "))
        assert first < 1e-5
        assert second > 100 * first
        assert 0.01 < fourth < 0.1
    *others, itself = (float(largest) for *_, largest in drifts)
    assert 0.03 < itself < 0.1
    assert 1.5 * itself < max(others) < 2.5 * itself


def test_relus_read_as_many_numbers_as_the_third_chapter_says():
    """In a minibatch of 64 images of 64x64 pixels: one normalization before each."""
    network = registry.architecture("densenet_d2l")
    pixels = parity.pixels(network, 64)
    norms = [layer for layer in network.layers() if layer.kind == "norm"]
    total = 64 * sum(layer.shape[0] * pixels[layer.name] for layer in norms)
    assert total == pytest.approx(20e6, rel=0.1)
