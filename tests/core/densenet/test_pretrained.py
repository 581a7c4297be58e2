"""Weights that other libraries publish give the same logits in this library's networks.

The oracles are the networks of keras.applications and of Gluon's model zoo. They write
their files, each framework here loads them, and all compute the same logits.
"""

import functools
import gc
import math
import re
import warnings

import numpy as np
import pytest
from shared.published import LOADED, check_network
from shared.selected import SELECTED, d2l

from d2lext.core.frameworks import IDS, TITLES

WRITERS = {"keras": "tensorflow", "gluon": "mxnet"}
# Height and width of the images, in pixels. Gluon's network ends in a pooling of 7x7
# and takes no other size.
SIZES = {"keras": 64, "gluon": 224}
# The largest difference of logits allowed, as a share of their deviation. Each operation
# rounds by up to 2^-24 = 6e-8; independent errors of some 400 operations in sequence add
# up to about 20 of these, 1.2e-6, and the largest of 2000 logits has three to four times
# that.
TOLERANCE = 2e-5


def values(kind, shape, fan_in, rng):
    """New values for a tensor of a network, such that a swap shows.

    Statistics, gains and shifts all differ. He's deviation for kernels, gains below 1
    and variances around 1 keep what 200 layers compute near 1: the second moment s
    becomes about E[gain^2] E[1 / variance] s = 0.84 * 1.1 s, plus what the shifts add.
    """
    if kind == "kernel":
        return rng.normal(0, math.sqrt(2 / fan_in), shape).astype(np.float32)
    low, high = {
        "gamma": (0.6, 1.2),
        "beta": (-0.2, 0.2),
        "bias": (-0.2, 0.2),
        "mean": (-0.2, 0.2),
        "var": (0.5, 1.5),
    }[kind]
    return rng.uniform(low, high, shape).astype(np.float32)


def images(size):
    """Two images (2, 3, size, size) of 4x4 patches around 0, the second with contrast.

    Without both, the mean over all pixels would make two images of noise equal.
    """
    patches = np.random.default_rng(0).normal(0, 1, (2, 3, 4, 4)).astype(np.float32)
    patches[1] *= 3
    return patches.repeat(size // 4, axis=2).repeat(size // 4, axis=3)


def keras_file(name, folder):
    """A file that Keras wrote, and Keras's logits of `images`."""
    import keras

    make = getattr(keras.applications, name.replace("densenet", "DenseNet"))
    net = make(weights=None, input_shape=(64, 64, 3), classifier_activation=None)
    rng = np.random.default_rng(1)
    for weight in net.weights:
        kind = weight.name.removeprefix("moving_").replace("variance", "var")
        fan_in = math.prod(weight.shape[:-1])
        weight.assign(values(kind, weight.shape, fan_in, rng))
    # Both kinds of files, the archive and the bare one.
    suffix = ".keras" if name == "densenet169" else ".weights.h5"
    path = folder / f"{name}{suffix}"
    (net.save if suffix == ".keras" else net.save_weights)(path)
    X = images(SIZES["keras"]).transpose(0, 2, 3, 1)
    return path, net(X, training=False).numpy()


def gluon_file(name, folder):
    """A file that Gluon wrote, and Gluon's logits of `images`."""
    from mxnet import nd
    from mxnet.gluon.model_zoo import vision
    from shared.frameworks.mxnet import older_interface

    X, path = images(SIZES["gluon"]), folder / f"{name}.params"
    rng = np.random.default_rng(1)
    with older_interface():
        net = getattr(vision, name)()
        net.initialize()
        net(nd.zeros((1, *X.shape[1:])))
        for param in net.collect_params().values():
            kind = param.name.rpartition("_")[2].replace("weight", "kernel")
            fan_in = math.prod(param.shape[1:])
            param.set_data(nd.array(values(kind, param.shape, fan_in, rng)))
        net.save_parameters(str(path))
        return path, net(nd.array(X)).asnumpy()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A function from a library and a name to a file of weights, and the logits."""
    folder, written = tmp_path_factory.mktemp("published"), {}
    write = {"keras": keras_file, "gluon": gluon_file}

    def get(library, name):
        backend = WRITERS[library]
        if backend not in SELECTED:
            pytest.skip(f"{TITLES[backend]} writes the file, --backend left it out")
        d2l(backend)  # prepares its framework, and is imported before it
        if (library, name) not in written:
            with warnings.catch_warnings():
                # The libraries' own: TensorFlow's variables do not know NumPy 2's
                # argument `copy`, and MXNet asks SciPy for names that have moved.
                warnings.simplefilter("ignore", DeprecationWarning)
                path, logits = write[library](name, folder)
            gc.collect()
            # The logits are neither saturated nor the same for all images.
            assert 0.1 < logits.std() < 10
            assert (logits[0] - logits[1]).std() > 0.1 * logits.std()
            written[library, name] = path, logits
        return written[library, name]

    return get


def difference(logits, expected):
    """The largest difference, as a share of the expected logits' deviation."""
    assert logits.shape == expected.shape == (2, 1000)
    return np.abs(logits - expected).max() / expected.std()


def combinations():
    """Libraries, networks and frameworks; all but the first are slow."""
    for backend in IDS:
        for name in LOADED:
            for library in WRITERS:
                quick = (library, name, backend) == ("gluon", "densenet121", "torch")
                marks = [] if quick else [pytest.mark.slow]
                yield pytest.param(library, name, backend, marks=marks)


@functools.lru_cache(maxsize=1)
def built(backend, name):
    """The network, for both libraries' files: it takes up to 20 s."""
    model = d2l(backend).create_model(name)
    check_network(d2l(backend), name, model)
    return model


@pytest.mark.parametrize(("library", "name", "backend"), list(combinations()))
def test_published(published, library, name, backend):
    if backend not in SELECTED:
        pytest.skip("--backend left this framework out")
    package, model = d2l(backend), built(backend, name)
    path, expected = published(library, name)
    package.load_weights(model, path)
    logits = package.predict(model, images(SIZES[library]))
    gc.collect()  # the previous network: hundreds of MiB, in cycles
    assert difference(logits, expected) <= TOLERANCE


# Tensors of equal shapes, whose exchange no check of shapes finds; some are deeper in
# the network than a test of its first layers would reach.
EXCHANGED = [
    ("features.norm0.weight", "features.norm0.running_var"),
    (
        "features.denseblock1.denselayer1.norm2.bias",
        "features.denseblock1.denselayer1.norm2.running_mean",
    ),
    (
        "features.denseblock3.denselayer2.conv2.weight",
        "features.denseblock3.denselayer10.conv2.weight",
    ),
    (
        "features.denseblock4.denselayer15.norm2.weight",
        "features.denseblock4.denselayer16.norm2.weight",
    ),
]


@pytest.mark.parametrize(("one", "other"), EXCHANGED)
def test_an_exchange_is_found(published, one, other):
    """Two tensors exchanged move the logits by far more than the tolerance."""
    if "torch" not in SELECTED:
        pytest.skip("exchanges tensors in PyTorch, --backend left it out")
    path, expected = published("gluon", "densenet121")
    torch, model = d2l("torch"), built("torch", "densenet121")
    torch.load_weights(model, path)
    weights = torch.get_weights(model)
    weights[one], weights[other] = weights[other], weights[one]
    torch.set_weights(model, weights)
    logits = torch.predict(model, images(SIZES["gluon"]))
    assert difference(logits, expected) > 10 * TOLERANCE


# torchvision, whose names and layouts are this library's

SMALL = {"arch": (2, 1), "growth_rate": 4, "num_channels": 8, "num_classes": 10}


def name_of_2017(name):
    """The name in the checkpoints of 2017: `norm.1.weight` for today's `norm1.weight`."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name)


@pytest.fixture(scope="module")
def torchvision_files(tmp_path_factory):
    """Files of a state_dict with torchvision's names, and what PyTorch computes."""
    if "torch" not in SELECTED:
        pytest.skip("PyTorch writes the file, --backend left it out")
    import torch

    package, rng = d2l("torch"), np.random.default_rng(1)
    model = package.create_model("densenet121", **SMALL)
    state = {}
    for name, array in package.get_weights(model).items():
        array = array + rng.uniform(0.1, 0.5, array.shape).astype(np.float32)
        state[name] = torch.from_numpy(array)
        if name.endswith("running_var"):
            # A counter of BatchNorm's that torchvision's files have since 2018.
            state[name.replace("running_var", "num_batches_tracked")] = torch.tensor(7)
    package.set_weights(
        model, {n: t.numpy() for n, t in state.items() if t.is_floating_point()}
    )
    folder = tmp_path_factory.mktemp("torchvision")
    torch.save(state, folder / "today.pth")
    old = {name_of_2017(n): t for n, t in state.items() if "tracked" not in n}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, folder / "2017.pth", _use_new_zipfile_serialization=False)
    return folder, package.get_weights(model), package.predict(model, images(32))


@pytest.mark.parametrize("backend", SELECTED)
def test_torchvision(torchvision_files, backend):
    folder, weights, expected = torchvision_files
    package = d2l(backend)
    for file in "today.pth", "2017.pth":
        model = package.create_model("densenet121", seed=1, **SMALL)
        package.load_weights(model, folder / file)
        loaded = package.get_weights(model)
        assert list(loaded) == list(weights)
        assert all(np.array_equal(loaded[name], weights[name]) for name in weights)
    # A small network: fewer sums and less rounding than in the large ones.
    logits = package.predict(model, images(32))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * expected.std())
