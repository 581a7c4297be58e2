"""Weights between models and files: bit for bit in all frameworks, and what is refused.

The formats themselves are tested in formats/. Here are the functions that a
reader calls, in each framework: what they carry, what they say, what they leave alone.
"""

import errno
import importlib
import os
import pickle
import re

import numpy as np
import pytest
from safetensors.numpy import save_file
from shared.frameworks import native, tensor
from shared.selected import SELECTED, d2l_or_skip, in_backends
from shared.weights import assert_same

from d2lext.core.frameworks import IDS

# Every kind of layer and tensor, biases of convolutions too.
OPTIONS = {
    "arch": (2, 1),
    "growth_rate": 4,
    "num_channels": 8,
    "bias": True,
    "num_classes": 10,
    "in_channels": 3,
}
DIVERGED = "must hold finite numbers, .* has NaN .*: use weights from before"


def create(d2l, **options):
    """A small network whose statistics and biases are neither 0 nor 1."""
    model = d2l.create_model("densenet121", **OPTIONS | options)
    rng = np.random.default_rng(0)
    weights = d2l.get_weights(model)
    for name, array in weights.items():
        weights[name] = array + rng.uniform(0.1, 0.5, array.shape).astype(np.float32)
    d2l.set_weights(model, weights)
    return model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """For each framework the file that it wrote, and the weights that it wrote."""
    folder = tmp_path_factory.mktemp("weights")
    written = {}
    for backend in SELECTED:
        d2l, path = d2l_or_skip(backend), folder / f"{backend}.safetensors"
        model = create(d2l)
        d2l.save_weights(model, path)
        written[backend] = path, d2l.get_weights(model)
    return written


@pytest.fixture(scope="module")
def built(d2l):
    """A network for tests that leave it as it is."""
    return create(d2l)


@pytest.fixture
def model(d2l, built):
    """The network of `built`; whatever the test does, no weight may change."""
    before = d2l.get_weights(built)
    yield built
    assert_same(d2l.get_weights(built), before)


# What travels


def test_all_pairs(d2l, files):
    """What any framework wrote, this one reads, over other weights."""
    model = d2l.create_model("densenet121", seed=1, **OPTIONS)
    other = d2l.get_weights(model)
    for path, weights in files.values():
        assert not any(np.array_equal(other[name], weights[name]) for name in weights)
        d2l.set_weights(model, other)
        d2l.load_weights(model, str(path))
        assert_same(d2l.get_weights(model), weights)


def test_files_are_identical(files):
    if len(files) == 1:
        pytest.skip("compares frameworks, and --backend chose one")
    assert len({path.read_bytes() for path, _ in files.values()}) == 1


def test_options_that_make_no_weights(d2l, files, tmp_path):
    """Dropout, for one, is not in the file: other values read it."""
    path, weights = next(iter(files.values()))
    other = d2l.create_model(
        "densenet121", **OPTIONS, dropout=0.5, memory_efficient=True, lr=1
    )
    d2l.load_weights(other, path)
    assert_same(d2l.get_weights(other), weights)
    d2l.save_weights(other, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_other_precisions(d2l, built):
    """Arrays of other floating-point types are taken as float32."""
    weights = d2l.get_weights(built)
    halves = {name: array.astype(np.float16) for name, array in weights.items()}
    for dtype in np.float16, np.float64:
        d2l.set_weights(built, {n: a.astype(dtype) for n, a in halves.items()})
        loaded = d2l.get_weights(built)
        assert_same(loaded, {n: a.astype(np.float32) for n, a in halves.items()})
    d2l.set_weights(built, weights)


def test_copies(d2l, model):
    """What `get_weights` returns is the caller's; `set_weights` takes any strides."""
    weights = d2l.get_weights(model)
    expected = {name: array.copy() for name, array in weights.items()}
    for array in weights.values():
        array += 1
    assert_same(d2l.get_weights(model), expected)
    d2l.set_weights(model, {n: np.asfortranarray(a) for n, a in expected.items()})
    assert_same(d2l.get_weights(model), expected)
    turned = dict(reversed(expected.items()))
    d2l.set_weights(model, turned)
    for array in turned.values():
        array += 1  # the model has its own
    expected = {name: array - 1 for name, array in expected.items()}
    np.testing.assert_allclose(
        d2l.get_weights(model)["classifier.bias"],
        expected["classifier.bias"],
        rtol=1e-6,
    )


@in_backends("torch")
def test_channels_last(d2l, files, tmp_path):
    """The memory that PyTorch's Trainer chooses is no part of the file."""
    import torch

    model = create(d2l).to(memory_format=torch.channels_last)
    kernel = next(p for p in model.parameters() if p.shape[2:] == (7, 7))
    assert not kernel.is_contiguous()
    path, weights = files["torch"]
    assert_same(d2l.get_weights(model), weights)
    d2l.save_weights(model, tmp_path / "last")
    assert (tmp_path / "last").read_bytes() == path.read_bytes()
    d2l.load_weights(model, path)
    assert_same(d2l.get_weights(model), weights)
    assert not kernel.is_contiguous()


# Weights that do not fit


def without(name):
    """A change of weights: one is missing."""
    return lambda weights: weights.pop(name)


def with_one(name, change):
    """A change of weights: that of one array, which may be new."""

    def apply(weights):
        weights[name] = change(weights.get(name, np.zeros(2, np.float32)))

    return apply


def poisoned(value):
    """A change of an array: its last number becomes `value`."""

    def change(array):
        array = array.copy()
        array.flat[-1] = value
        return array

    return change


UNFIT = {
    "missing": (
        without("features.norm0.running_var"),
        r"features\.norm0\.running_var is missing from .*: build the network that was",
    ),
    "extra": (
        with_one("features.conv1.weight", np.copy),
        r"'features\.conv1\.weight' is in .*, but not in the network: build the",
    ),
    "shape": (
        with_one("features.norm5.weight", lambda a: a[:-1].copy()),
        r"features\.norm5\.weight has shape \(11,\) in .*, the network \(12,\): build",
    ),
    "transposed": (
        with_one("classifier.weight", lambda a: a.T.copy()),
        r"classifier\.weight has shape \(12, 10\) in .*, the network \(10, 12\): load_",
    ),
    "classes": (
        with_one("classifier.bias", lambda a: np.append(a, a)),
        r"classifier\.bias has shape \(20,\) .*: use create_model\(\.\.\., num_classes=20",
    ),
    "integers": (
        with_one("features.conv0.bias", lambda a: a.astype(np.int64)),
        r"features\.conv0\.bias has dtype (int64|I64) in .* float32: convert it to float",
    ),
    "NaN": (with_one("features.norm5.running_mean", poisoned(np.nan)), DIVERGED),
    "infinity": (with_one("classifier.weight", poisoned(np.inf)), DIVERGED),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_set_weights_refuses(d2l, model, kind):
    change, message = UNFIT[kind]
    # All others differ, so that a model changed halfway would be found.
    weights = {name: array + 1 for name, array in d2l.get_weights(model).items()}
    change(weights)
    if kind not in ("NaN", "infinity"):
        message = f"must fit the network: {message}"
    with pytest.raises(ValueError, match=f"^the weights {message}"):
        d2l.set_weights(model, weights)


@pytest.mark.parametrize("kind", UNFIT)
def test_load_weights_refuses(d2l, model, tmp_path, kind):
    change, message = UNFIT[kind]
    weights = {name: array + 1 for name, array in d2l.get_weights(model).items()}
    change(weights)
    path = tmp_path / "weights.safetensors"
    save_file(weights, path)
    if kind not in ("NaN", "infinity"):
        message = f"must fit the network: {message}"
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} {message}"):
        d2l.load_weights(model, path)


@in_backends(*IDS, slow=["tensorflow"])  # which takes a second for each network
@pytest.mark.parametrize(
    ("option", "other"),
    [
        ("arch", (1, 2)),
        ("growth_rate", 6),
        ("num_channels", 12),
        ("bottleneck_size", None),
        ("compression", 0.25),
        ("small_images", True),
        ("bias", False),
        ("num_classes", 7),
        ("in_channels", 1),
    ],
)
def test_the_first_difference_is_named(d2l, model, files, option, other):
    path, weights = next(iter(files.values()))
    made = d2l.create_model("densenet121", **OPTIONS | {option: other})
    before = d2l.get_weights(made)
    saved = d2l.architecture_of(model).options()[option]
    here = list(other) if option == "arch" else other
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        d2l.load_weights(made, path)
    assert (
        f" holds the weights of a network with {option}={saved!r}, but this one has "
        f"{option}={here!r}: build it with {option}={saved!r}, or "
    ) in str(caught.value)
    assert_same(d2l.get_weights(made), before)
    with pytest.raises(ValueError, match="the weights must fit the network: "):
        d2l.set_weights(made, weights)
    assert_same(d2l.get_weights(made), before)


# Files that cannot be read


class Code:
    """What makes a folder when it is unpickled without care."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_code_does_not_run(d2l, model, tmp_path):
    path, trace = tmp_path / "weights.pth", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Code(trace)))
    with pytest.raises(ValueError, match="must be a pickle of torch.save, got another"):
        d2l.load_weights(model, path)
    assert not trace.exists()
    pickle.loads(path.read_bytes())
    assert trace.exists()  # the file would have done it


def test_files_that_cannot_be_read(d2l, model, files, tmp_path):
    data, path = next(iter(files.values()))[0].read_bytes(), tmp_path / "weights"
    for length in 20, len(data) // 2, len(data) - 1:
        path.write_bytes(data[:length])
        with pytest.raises(
            ValueError, match="is truncated or damaged .* save it again"
        ):
            d2l.load_weights(model, path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="got an empty one: download it again"):
        d2l.load_weights(model, path)
    with pytest.raises(ValueError, match="got a folder: name a file in it"):
        d2l.load_weights(model, tmp_path)
    with pytest.raises(FileNotFoundError, match="missing"):
        d2l.load_weights(model, tmp_path / "missing")


# Files that cannot be written


def test_no_half_file(d2l, model, files, tmp_path, monkeypatch):
    path = tmp_path / "weights"
    path.write_bytes(b"before")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            d2l.save_weights(model, path)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"before"]
    d2l.save_weights(model, path)
    assert path.read_bytes() == next(iter(files.values()))[0].read_bytes()


def test_paths(d2l, model, files, monkeypatch, tmp_path):
    """As a checkpoint's: the home folder, a missing folder, and what is no file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    d2l.save_weights(model, "~/new/folder/weights")
    written = (tmp_path / "new" / "folder" / "weights").read_bytes()
    assert written == next(iter(files.values()))[0].read_bytes()
    d2l.load_weights(model, "~/new/folder/weights")
    for function in (d2l.save_weights, d2l.load_weights):
        with pytest.raises(ValueError, match="new.* a folder: name a file in it"):
            function(model, tmp_path / "new")
        with pytest.raises(
            ValueError, match="got the address https://a.org/b.pth: down"
        ):
            function(model, "https://a.org/b.pth")
        with pytest.raises(TypeError, match="be the path of a file, got DenseNetBC"):
            function("weights", model)


def test_diverged_weights_are_not_saved(d2l, backend, tmp_path):
    model = create(d2l)
    diverge(backend, model, "features.norm5.running_var")
    with pytest.raises(ValueError, match=f"^the weights {DIVERGED}"):
        d2l.save_weights(model, tmp_path / "weights")
    assert list(tmp_path.iterdir()) == []


def diverge(backend, model, name):
    """Give a tensor of the model NaN for all its numbers, past the library's check."""
    module = importlib.import_module(f"d2lext.{backend}.weights")
    if backend == "jax":
        path = module._places(model)[name]
        *parents, last = path
        tree = model.variables
        for part in parents:
            tree = tree[part]
        tree[last] = tree[last] * np.nan
        return
    tensor = module.named_tensors(model)[name]
    if backend == "torch":
        tensor.fill_(np.nan)
    elif backend == "mxnet":
        tensor.set_data(tensor.data() * np.nan)
    else:
        tensor.assign(tensor * np.nan)


# Models without weights, and others


def unbuilt(d2l):
    """A network that has seen no input."""
    return d2l.DenseNet(arch=(1, 1), growth_rate=4, num_channels=8)


def test_unbuilt(d2l, backend, files, tmp_path):
    path, weights = files[backend]
    calls = {
        "architecture_of": (),
        "get_weights": (),
        "set_weights": (weights,),
        "load_weights": (path,),
        "save_weights": (tmp_path / "weights",),
        "predict": (np.zeros((1, 1, 32, 32), np.float32),),
        "examine": (np.zeros((1, 1, 32, 32), np.float32), np.zeros(1, np.int64)),
    }
    for name, args in calls.items():
        with pytest.raises(
            ValueError, match=r"^DenseNet has no weights .*create_model"
        ):
            getattr(d2l, name)(unbuilt(d2l), *args)
    assert list(tmp_path.iterdir()) == []
    # The remedy that the message names.
    model = unbuilt(d2l)
    model.layer_summary(native(d2l, (1, 1, 32, 32)))
    assert d2l.architecture_of(model).arch == (1, 1)


def test_no_densenet(d2l, backend, files, tmp_path):
    path, weights = files[backend]
    model = d2l.LeNet()
    model.layer_summary(native(d2l, (1, 1, 32, 32)))
    calls = {
        "architecture_of": (),
        "get_weights": (),
        "set_weights": (weights,),
        "load_weights": (path,),
        "save_weights": (tmp_path / "weights",),
    }
    rule = "^LeNet is not a DenseNet of this library .*: build one with create_model"
    for name, args in calls.items():
        with pytest.raises(TypeError, match=rule):
            getattr(d2l, name)(model, *args)
    assert list(tmp_path.iterdir()) == []
    logits = d2l.predict(model, np.zeros((1, 1, 32, 32), np.float32))
    assert logits.shape == (1, 10)  # it predicts like any other


# Images


IMAGES = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ((IMAGES * 255).astype(int), TypeError, r"or uint8, got int64: .*astype"),
        (IMAGES[0], ValueError, r"\(n, c, h, w\), got \(3, 16, 16\): .*X\[None\]"),
        (
            IMAGES + np.nan,
            ValueError,
            "finite .*, got NaN or infinity in 2 of 2 images",
        ),
        ("cat.png", TypeError, "an array of numbers, got str: convert it"),
    ],
    ids=["integers", "three axes", "NaN", "name"],
)
def test_images_that_are_refused(d2l, model, X, error, message):
    with pytest.raises(error, match=f"^X must .*{message}"):
        d2l.predict(model, X)
    with pytest.raises(error, match=f"^X must .*{message}"):
        d2l.examine(model, X, np.zeros(2, np.int64))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            IMAGES.transpose(0, 2, 3, 1),
            r"got \(2, 16, 16, 3\), which looks like \(n, h,",
        ),
        (IMAGES[:, :1], r"with c = 3, got \(2, 1, 16, 16\): .*in_channels=1"),
    ],
    ids=["channels last", "grey"],
)
def test_images_of_another_shape(d2l, model, framework, X, message):
    """One error for the functions that take NumPy's images, and for the model itself."""
    with pytest.raises(ValueError, match=f"DenseNetBC .*{message}"):
        d2l.predict(model, X)
    with pytest.raises(ValueError, match=f"DenseNetBC .*{message}"):
        d2l.examine(model, X, [0, 1])
    with pytest.raises(ValueError, match="DenseNetBC .*, got .*16"):
        framework.forward(model, tensor(d2l, X))


def test_images_of_every_kind(d2l, model):
    """Other types and containers of the same numbers, the framework's tensor among them."""
    logits = d2l.predict(model, IMAGES)
    for given in (IMAGES.astype(np.float64), d2l.tensor(IMAGES)):
        np.testing.assert_array_equal(d2l.predict(model, given), logits)
    pixels = np.uint8(IMAGES * 255)
    with pytest.warns(UserWarning, match="X is uint8 and divided by 255"):
        of_pixels = d2l.predict(model, pixels)
    expected = d2l.predict(model, pixels / 255)
    np.testing.assert_allclose(of_pixels, expected, rtol=1e-4, atol=1e-5)


def test_no_images(d2l, model):
    logits = d2l.predict(model, IMAGES[:0])
    assert (logits.shape, logits.dtype) == ((0, 10), np.float32)
    with pytest.raises(
        ValueError, match=r"at least one image, got \(0,\) for 0 images"
    ):
        d2l.examine(model, IMAGES[:0], [])


def test_labels(d2l, model):
    with pytest.raises(ValueError, match="y must hold labels from 0 to 9, got 3 to 10"):
        d2l.examine(model, IMAGES, [3, 10])


def test_batches(d2l, model):
    """However many images are predicted at once, each has its own logits."""
    X = np.concatenate([IMAGES, IMAGES[:1] / 2])
    logits = d2l.predict(model, X)
    assert logits.shape == (3, 10)
    np.testing.assert_allclose(
        d2l.predict(model, X, batch_size=2), logits, rtol=1e-5, atol=1e-6
    )
