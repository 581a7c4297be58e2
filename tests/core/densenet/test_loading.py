"""`load_weights` with its options, and models that their framework saved.

The oracles: arithmetic for other inputs and classes; for a framework's own file, the
model that it saved.
"""

import importlib

import numpy as np
import pytest
from shared.framework_files import FILES, FILES_OF_NET
from shared.frameworks import built, tensor
from shared.selected import in_backends
from shared.weights import assert_same

from d2lext.core.densenet.formats.fitting import with_channels

OPTIONS = {"arch": (2, 1), "growth_rate": 4, "num_channels": 8, "num_classes": 5}
X = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)


def create(d2l, seed=0, name="densenet121", **options):
    """A small network whose statistics and biases are neither 0 nor 1."""
    model = d2l.create_model(name, seed=seed, **OPTIONS | options)
    rng = np.random.default_rng(seed)
    weights = {
        name: array + rng.uniform(0.1, 0.5, array.shape).astype(np.float32)
        for name, array in d2l.get_weights(model).items()
    }
    d2l.set_weights(model, weights)
    return model


@pytest.fixture(scope="module")
def saved(d2l, tmp_path_factory):
    """A network, and the file of its weights."""
    model, path = create(d2l), tmp_path_factory.mktemp("weights") / "weights"
    d2l.save_weights(model, path)
    return model, path


def assert_close(a, b):
    assert np.abs(a - b).max() <= 5e-6 * np.abs(b).max()


# Options


def test_a_head_of_ones_own(d2l, saved, tmp_path):
    """The features are the file's, the classifier stays; saved, all of it returns."""
    model = create(d2l, seed=1, num_classes=2)
    own = d2l.get_weights(model)
    with pytest.raises(ValueError, match=r"num_classes=5, .*head=False\) or classes="):
        d2l.load_weights(model, saved[1])
    assert_same(d2l.get_weights(model), own)
    d2l.load_weights(model, saved[1], head=False)
    weights = d2l.get_weights(saved[0])
    head = {name: own[name] for name in ("classifier.weight", "classifier.bias")}
    assert_same(d2l.get_weights(model), weights | head)
    d2l.save_weights(model, tmp_path / "again")
    again = create(d2l, seed=2, num_classes=2)
    d2l.load_weights(again, tmp_path / "again")
    assert_same(d2l.get_weights(again), weights | head)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, about NumPy
def test_a_head_of_several_layers(d2l, backend, saved, tmp_path):
    """A subclass has it; the framework saves the model, whose features load again."""
    layers = {
        "torch": lambda nn: [nn.LazyLinear(6), nn.LazyBatchNorm1d(), nn.LazyLinear(2)],
        "mxnet": lambda nn: [nn.Dense(6, "relu"), nn.BatchNorm(), nn.Dense(2)],
        "jax": lambda nn: [nn.Dense(6), nn.relu, nn.LayerNorm(), nn.Dense(2)],
        "tensorflow": lambda nn: [nn.Dense(6), nn.BatchNormalization(), nn.Dense(2)],
    }  # fmt: skip
    module = {"torch": "torch.nn", "mxnet": "mxnet.gluon.nn", "jax": "flax.linen"}
    nn = importlib.import_module(module.get(backend, "keras.layers"))

    class Mine(d2l.DenseNetBC):
        def head(self):
            return [*super().head()[:-1], *layers[backend](nn)]

    options = {"num_classes": 2}
    model = built(d2l, Mine(**OPTIONS | options))
    with pytest.raises(ValueError, match=r"Mine must have .*head=False\), and save"):
        d2l.save_weights(model, tmp_path / "mine")
    other = d2l.predict(model, X)
    d2l.load_weights(model, saved[1], head=False)
    logits = d2l.predict(model, X)
    assert logits.shape == other.shape == (2, 2)
    assert np.abs(logits - other).max() > 0.1 * np.abs(logits).max()
    plain = create(d2l, seed=1)
    d2l.load_weights(plain, FILES[backend][0](d2l, model, tmp_path), head=False)
    loaded, expected = d2l.get_weights(plain), d2l.get_weights(saved[0])
    for name in loaded:
        if name.startswith("features."):
            np.testing.assert_array_equal(loaded[name], expected[name])


def test_some_classes(d2l, saved):
    model = create(d2l, seed=1, num_classes=2)
    d2l.load_weights(model, saved[1], classes=np.array([4, 1]))
    assert_close(d2l.predict(model, X), d2l.predict(saved[0], X)[:, [4, 1]])


def test_a_grey_image(d2l, saved):
    """It gives what it gives as red, green and blue."""
    model, grey = create(d2l, seed=1, in_channels=1), X[:, :1].copy()
    with pytest.raises(ValueError, match=r"in_channels=3, or use .*adapt_input=True\)"):
        d2l.load_weights(model, saved[1])
    d2l.load_weights(model, saved[1], adapt_input=True)
    expected = d2l.predict(saved[0], grey.repeat(3, axis=1))
    assert_close(d2l.predict(model, grey), expected)


def test_more_channels(d2l, saved):
    """An image whose channels repeat gives what it gave before."""
    model = create(d2l, seed=1, in_channels=6)
    d2l.load_weights(model, saved[1], adapt_input=True)
    twice = np.concatenate([X, X], axis=1)
    assert_close(d2l.predict(model, twice), d2l.predict(saved[0], X))


def test_channels_as_in_timm():
    weight = np.arange(2 * 3 * 1 * 1, dtype=np.float32).reshape(2, 3, 1, 1)
    four = with_channels(weight, 4)[:, :, 0, 0]
    assert four.tolist() == [[0, 0.75, 1.5, 0], [2.25, 3, 3.75, 2.25]]
    assert with_channels(weight, 1)[:, :, 0, 0].tolist() == [[3], [12]]
    assert with_channels(weight, 2)[:, :, 0, 0].tolist() == [[0, 1.5], [4.5, 6]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": [0, 1]}, "classes must be as many as the model has, 5, got 2: bu"),
        ({"classes": [0, 1, 2, 3, 5]}, "got 5 and no number 5: choose .* 0 to 4"),
        ({"classes": [0, 1, 2, 3, -1]}, "got 5 and no number -1: choose"),
        ({"classes": [0, 1, 2, 3, 0.5]}, "classes must be a list of integers, got"),
        ({"classes": 5}, "classes must be a list of integers, got 5: give the numbers"),
        (
            {"classes": [True, False, True, True, False]},
            r"got a mask: use numpy.flatnonz",
        ),
        ({"classes": range(5), "head": False}, "head must be True for classes, got"),
    ],
)
def test_options_that_are_refused(d2l, saved, options, message):
    before = d2l.get_weights(saved[0])
    with pytest.raises(ValueError, match=message):
        d2l.load_weights(saved[0], saved[1], **options)
    assert_same(d2l.get_weights(saved[0]), before)


# Models that their framework saved


NETWORKS = {
    "small images": ("densenet_bc_100_12", {"arch": (1, 2), "bias": True}),
    # More layers than one digit numbers.
    "first chapter": ("densenet_d2l", {"arch": (1, 11), "in_channels": 1}),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, about NumPy
@pytest.mark.parametrize("network", NETWORKS)
def test_files_of_the_framework(d2l, backend, tmp_path, network):
    name, options = NETWORKS[network]
    if backend == "tensorflow" and name == "densenet_d2l":
        options = options | {"arch": (1, 2)}  # its layers take long to build
    model = create(d2l, name=name, **options)
    other = create(d2l, seed=1, name=name, **options)
    before = d2l.get_weights(other)
    for save in FILES[backend]:
        path = save(d2l, model, tmp_path)
        d2l.set_weights(other, before)
        d2l.load_weights(other, path)
        assert_same(d2l.get_weights(other), d2l.get_weights(model))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_files_of_the_network_within(d2l, backend, tmp_path):
    """`model.net`, saved alone, whole or for its features."""
    model, other = create(d2l, arch=(1, 2)), create(d2l, seed=1, arch=(1, 2))
    before, expected = d2l.get_weights(other), d2l.get_weights(model)
    head = {n: a for n, a in before.items() if n.startswith("classifier.")}
    for save in FILES_OF_NET[backend]:
        path = save(d2l, model, tmp_path)
        d2l.set_weights(other, before)
        d2l.load_weights(other, path)
        assert_same(d2l.get_weights(other), expected)
        d2l.set_weights(other, before)
        d2l.load_weights(other, path, head=False)
        assert_same(d2l.get_weights(other), expected | head)


@in_backends("jax")
def test_parameters_without_statistics(d2l, saved, tmp_path):
    from flax import serialization

    params = {"params": saved[0].variables["params"]}
    (tmp_path / "params").write_bytes(serialization.to_bytes(params))
    with pytest.raises(ValueError, match=r"batch_stats, .*to_bytes\(model.variables\)"):
        d2l.load_weights(saved[0], tmp_path / "params")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_first_chapters_class(d2l, backend, tmp_path):
    """Its layers have other names than those of `create_model`."""
    models = []
    for _ in range(2):
        model = d2l.DenseNet(arch=(1, 2), growth_rate=4, num_channels=8)
        X = tensor(d2l, np.zeros((1, 1, 16, 16), np.float32))
        if backend == "jax":
            import jax

            shapes = jax.eval_shape(model.init, jax.random.PRNGKey(0), X)
            model.variables = jax.tree.map(lambda a: jax.numpy.ones(a.shape), shapes)
        elif backend == "tensorflow":
            model(X)
        else:
            model.layer_summary(X.shape)
        models.append(model)
    weights = {n: a + 0.1 for n, a in d2l.get_weights(models[0]).items()}
    d2l.set_weights(models[0], weights)
    for save in FILES[backend]:
        d2l.set_weights(models[1], {n: a + 1 for n, a in weights.items()})
        d2l.load_weights(models[1], save(d2l, models[0], tmp_path))
        assert_same(d2l.get_weights(models[1]), weights)


@in_backends("jax")
def test_orbax(d2l, saved, tmp_path):
    """Its folder names the way: what Orbax restored can be saved."""
    checkpoint = pytest.importorskip("orbax.checkpoint")
    with checkpoint.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "orbax", saved[0].variables)
        checkpointer.wait_until_finished()
        with pytest.raises(
            ValueError, match=r"got a folder: .*Orbax into model.variab"
        ):
            d2l.load_weights(saved[0], tmp_path / "orbax")
        other = create(d2l, seed=1)
        other.variables = checkpointer.restore(tmp_path / "orbax")
    assert_same(d2l.get_weights(other), d2l.get_weights(saved[0]))
