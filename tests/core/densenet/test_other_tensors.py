"""Models that hold more than a DenseNet, less, or other numbers: nothing gets lost.

A file of weights has a DenseNet's tensors alone. A model with others is refused; what
differs in a number is in the file, so that a plain network predicts the same.
"""

import functools
import importlib
import re

import numpy as np
import pytest
from shared.framework_files import FILES
from shared.frameworks import built
from shared.selected import in_backends
from shared.weights import assert_same

OPTIONS = {"arch": (1, 1), "growth_rate": 4, "num_channels": 8, "num_classes": 5}
X = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)
LAYERS = {
    "torch": "torch.nn",
    "mxnet": "mxnet.gluon.nn",
    "jax": "flax.linen",
    "tensorflow": "keras.layers",
}


def create(d2l, seed=0):
    """A small network whose statistics are neither 0 nor 1."""
    model = d2l.create_model("densenet121", seed=seed, **OPTIONS)
    rng = np.random.default_rng(seed)
    weights = {
        name: array + rng.uniform(0.1, 0.5, array.shape).astype(np.float32)
        for name, array in d2l.get_weights(model).items()
    }
    d2l.set_weights(model, weights)
    return model


def variant(d2l, backend, **places):
    """A built network, some of whose parts are others: `stem`, `head` or `forward`.

    The first two change a list of layers, the third the model itself, from which it
    returns a function of the logits.
    """

    class Mine(d2l.DenseNetBC):
        def stem(self):
            return places.get("stem", list)(super().stem())

        def head(self):
            return places.get("head", list)(super().head())

        if "forward" in places and backend == "jax":

            def setup(self):
                super().setup()
                self.last = places["forward"](self)

            def forward(self, X):
                return self.last(super().forward(X))

        elif "forward" in places:

            def __init__(self, **options):
                super().__init__(**options)
                vars(self)["last"] = places["forward"](self)

            def forward(self, X):
                return self.last(super().forward(X))

    return built(d2l, Mine(**OPTIONS))


def layers(backend):
    return importlib.import_module(LAYERS[backend])


def prelu(backend):
    """A change of layers: the first activation learns its slope."""
    nn = layers(backend)
    options = {"shared_axes": [1, 2]} if backend == "tensorflow" else {}

    def change(net):
        names = [getattr(x, "__name__", type(x).__name__).lower() for x in net]
        place = next(i for i, x in enumerate(names) if x in ("relu", "activation"))
        return [*net[:place], nn.PReLU(**options), *net[place + 1 :]]

    return change


def temperature(backend):
    """A change of a model: it divides its logits by a number that it learns."""

    def change(model):
        if backend == "torch":
            import torch

            model.temperature = torch.nn.Parameter(torch.tensor(2.0))
            return lambda logits: logits / model.temperature
        if backend == "mxnet":
            model.temperature = model.params.get("temperature", shape=(1,), init="ones")
            model.temperature.initialize()
            return lambda logits: logits / model.temperature.data()
        if backend == "jax":
            from flax import linen as nn

            number = model.param("temperature", nn.initializers.ones, ())
            return lambda logits: logits / number
        model.temperature = model.add_weight(
            shape=(), initializer="ones", name="temperature"
        )
        return lambda logits: logits / model.temperature

    return change


def buffer(backend):
    """A change of layers: something to subtract that is no parameter."""
    import torch

    class Minus(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("offset", torch.ones(1))

        def forward(self, X):
            return X - self.offset

    return lambda net: [*net, Minus()]


OTHERS = {
    "PReLU": ({"stem": prelu}, r"negative_slope|alpha|net\.2\.weight"),
    "temperature": ({"forward": temperature}, "temperature"),
    "in the head": ({"head": prelu}, r"negative_slope|alpha|net\.8\.weight"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_tensors_are_refused(d2l, backend, tmp_path, kind):
    """A file would lose them; the features can be loaded where they are whole."""
    plain = create(d2l)
    d2l.save_weights(plain, tmp_path / "plain")
    changes, name = OTHERS[kind]
    model = variant(d2l, backend, **{k: c(backend) for k, c in changes.items()})
    calls = {
        "get_weights": (),
        "set_weights": (d2l.get_weights(plain),),
        "load_weights": (tmp_path / "plain",),
        "save_weights": (tmp_path / "mine",),
        "architecture_of": (),
    }
    rule = (
        f"^Mine must have the tensors of a DenseNet alone, got [^ ]*({name})' as well"
    )
    for function, args in calls.items():
        with pytest.raises(ValueError, match=rule):
            getattr(d2l, function)(model, *args)
    assert not (tmp_path / "mine").exists()
    if kind == "PReLU":
        with pytest.raises(ValueError, match=rule):
            d2l.load_weights(model, tmp_path / "plain", head=False)
    else:
        before = d2l.predict(model, X)
        d2l.load_weights(model, tmp_path / "plain", head=False)
        assert not np.allclose(d2l.predict(model, X), before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, about NumPy
@pytest.mark.parametrize("kind", ["PReLU", "temperature"])
def test_other_tensors_of_a_file(d2l, backend, tmp_path, kind):
    """What the framework saved of such a model fits no other, but for its features."""
    plain = create(d2l)
    before = d2l.get_weights(plain)
    changes, _ = OTHERS[kind]
    model = variant(d2l, backend, **{k: c(backend) for k, c in changes.items()})
    for save in FILES[backend]:
        if save.__name__ == "torch_module":  # of a class that cannot be pickled
            continue
        path = save(d2l, model, tmp_path)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            d2l.load_weights(plain, path)
        assert_same(d2l.get_weights(plain), before)
        if backend == "tensorflow":  # whose files do not tell the place of a layer
            with pytest.warns(UserWarning, match="see whether these are of the head"):
                d2l.load_weights(plain, path, head=False)
            d2l.set_weights(plain, before)
        elif kind == "PReLU":
            with pytest.raises(ValueError, match=re.escape(str(path))):
                d2l.load_weights(plain, path, head=False)
        else:
            d2l.load_weights(plain, path, head=False)
            d2l.set_weights(plain, before)


@in_backends("torch")
def test_buffers_are_refused(d2l, tmp_path):
    model = variant(d2l, "torch", stem=buffer("torch"))
    with pytest.raises(ValueError, match=r"alone, got 'net\.4\.offset' as well"):
        d2l.save_weights(model, tmp_path / "mine")


@in_backends("torch")
def test_computed_tensors_are_saved(d2l):
    """What a weight is computed from is no other tensor: the weight is the product."""
    import torch
    from torch.nn.utils import prune
    from torch.nn.utils.parametrizations import spectral_norm, weight_norm

    model = create(d2l).eval()
    prune.l1_unstructured(model.net[-1], "bias", 0.5)
    weight_norm(model.net[0])
    spectral_norm(model.net[-1], "weight")
    with torch.no_grad():  # as an optimiser does, after the forward pass
        model.net[-1].bias_orig += 1
    other = create(d2l, seed=1)
    d2l.set_weights(other, d2l.get_weights(model))
    logits = d2l.predict(model, X)
    np.testing.assert_allclose(d2l.predict(other, X), logits, rtol=1e-5, atol=1e-6)


@in_backends("torch")
@pytest.mark.parametrize("name", ["net.4.se.fc.weight", "proj.weight", "scale"])
def test_one_more_tensor_in_a_file(d2l, tmp_path, name):
    import torch

    model, path = create(d2l), tmp_path / "model.pth"
    state = {name: torch.ones(4, 4), **model.state_dict()}
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"network|alone"):
        d2l.load_weights(model, path)


def norm(backend, **options):
    """A change of layers: the stem's normalization is another."""
    nn = layers(backend)
    kind, epsilon = {
        "torch": (lambda **o: nn.LazyBatchNorm2d(**o), "eps"),
        "mxnet": (lambda **o: nn.BatchNorm(**o), "epsilon"),
        "jax": (lambda **o: nn.BatchNorm(use_running_average=True, **o), "epsilon"),
        "tensorflow": (lambda **o: nn.BatchNormalization(**o), "epsilon"),
    }[backend]
    options = {epsilon if k == "epsilon" else k: v for k, v in options.items()}

    def change(net):
        names = [type(x).__name__ for x in net]
        place = next(i for i, x in enumerate(names) if "BatchNorm" in x)
        return [*net[:place], kind(**options), *net[place + 1 :]]

    return change


def test_another_epsilon(d2l, backend, tmp_path):
    """Saved, a plain network predicts the same with it; loaded, so does the other."""
    model = variant(d2l, backend, stem=norm(backend, epsilon=0.1))
    plain = create(d2l)
    d2l.set_weights(model, d2l.get_weights(plain))
    logits = d2l.predict(plain, X)
    np.testing.assert_allclose(d2l.predict(model, X), logits, rtol=1e-4, atol=1e-5)
    d2l.save_weights(model, tmp_path / "mine")
    other = create(d2l, seed=1)
    d2l.load_weights(other, tmp_path / "mine")
    np.testing.assert_allclose(d2l.predict(other, X), logits, rtol=1e-4, atol=1e-5)


def test_other_strides(d2l, backend, tmp_path):
    """Saving warns: the file is one for a network changed likewise."""
    nn = layers(backend)
    options = {"use_bias": False, "strides": 1}
    conv = {
        "torch": lambda: nn.LazyConv2d(8, 7, stride=1, padding=3, bias=False),
        "mxnet": lambda: nn.Conv2D(8, 7, padding=3, **options),
        "jax": lambda: nn.Conv(8, (7, 7), padding=3, **options),
        "tensorflow": lambda: nn.Conv2D(8, 7, **options),
    }[backend]
    place = 1 if backend == "tensorflow" else 0  # behind padding
    model = variant(
        d2l, backend, stem=lambda net: [*net[:place], conv(), *net[place + 1 :]]
    )
    with pytest.warns(
        UserWarning, match=r"conv0 of Mine has strides \(1, 1\), a Dense"
    ):
        d2l.save_weights(model, tmp_path / "mine")
    d2l.load_weights(model, tmp_path / "mine")


def softmax(backend):
    """A change of layers: a softmax at the end."""
    nn = layers(backend)
    last = {
        "torch": lambda: nn.Softmax(dim=1),
        "mxnet": lambda: nn.HybridLambda(lambda F, X: F.npx.softmax(X)),
        "jax": lambda: nn.softmax,
        "tensorflow": lambda: nn.Softmax(),
    }[backend]
    return lambda net: [*net, last()]


def swish(backend):
    """A change of layers: the first activation is another."""
    nn = layers(backend)
    other = {
        "torch": lambda: nn.SiLU(),
        "mxnet": lambda: nn.Swish(),
        "jax": lambda: nn.swish,
        "tensorflow": lambda: nn.Activation("swish"),
    }[backend]

    def change(net):
        names = [getattr(x, "__name__", type(x).__name__).lower() for x in net]
        place = next(i for i, x in enumerate(names) if x in ("relu", "activation"))
        return [*net[:place], other(), *net[place + 1 :]]

    return change


def pooled(backend):
    """A change of layers: the stem's pooling is an average."""
    nn = layers(backend)
    other = {
        "torch": lambda: nn.AvgPool2d(3, 2, 1),
        "mxnet": lambda: nn.AvgPool2D(3, 2, 1),
        "jax": lambda: functools.partial(nn.avg_pool, window_shape=(3, 3)),
        "tensorflow": lambda: nn.AveragePooling2D(3, 2),
    }[backend]
    return lambda net: [*net[:-1], other()]


FUNCTIONS = {
    "softmax": ("head", softmax, r"([Ss]oftmax|Lambda).* after all others"),
    "swish": ("stem", swish, r"([Ss]wish|silu|SiLU).* in place of ReLU"),
    "pooling": ("stem", pooled, r"[Aa]v.*[Pp]ool.* in place of 3x3 max pooling"),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_other_functions(d2l, backend, tmp_path, kind):
    """Layers without weights, which a file of weights would lose without a word."""
    place, change, name = FUNCTIONS[kind]
    plain, model = create(d2l), variant(d2l, backend, **{place: change(backend)})
    d2l.set_weights(model, d2l.get_weights(plain))
    rule = f"^Mine must have the layers of a DenseNet, got .*{name}, .*framework does$"
    with pytest.raises(ValueError, match=rule):
        d2l.save_weights(model, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
    d2l.save_weights(plain, tmp_path / "plain")
    with pytest.warns(UserWarning, match=f"^Mine has .*{name}: with the weights in"):
        d2l.load_weights(model, tmp_path / "plain")
    if kind == "softmax":  # the features are those of a DenseNet
        d2l.load_weights(model, tmp_path / "plain", head=False)


@in_backends("torch")
def test_functions_put_into_a_model(d2l, tmp_path):
    """What computes the same is saved; what replaces or follows a layer is not."""
    from torch import nn

    model = create(d2l).eval()
    model.net[2], dropout = nn.ReLU(inplace=True), nn.Dropout(0.5)
    model.net[-1] = nn.Sequential(dropout, model.net[-1], nn.Identity())
    transition = model.net[5]
    transition[2], transition[3] = transition[3], transition[2]  # both are linear
    logits = d2l.predict(model, X)
    d2l.save_weights(model, tmp_path / "mine")
    other = create(d2l, seed=1)
    d2l.load_weights(other, tmp_path / "mine")
    np.testing.assert_allclose(d2l.predict(other, X), logits, rtol=1e-4, atol=1e-5)
    model.net[4].blocks[0][1][1] = nn.Identity()
    with pytest.raises(
        ValueError, match=r"got conv net\.4\.blocks\.0\.1\.2 in place of R"
    ):
        d2l.save_weights(model, tmp_path / "mine")


@in_backends("torch")
def test_functions_in_the_code(d2l, tmp_path):
    """A network that calls them has no layers of them: it is saved as before."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        def __init__(self, block):
            super().__init__()
            self.norm, self.conv = block[0], block[2]

        def forward(self, X):
            return self.conv(F.relu(self.norm(X)))

    class Bottleneck(nn.Module):
        def __init__(self, blocks):
            super().__init__()
            self.blocks = nn.Sequential(*map(Block, blocks))

        def forward(self, *features):
            return self.blocks(torch.cat(features, dim=1))

    class Code(d2l.DenseNetBC):
        def forward(self, X):
            conv, norm, first, norm2, pooled, second, last, linear = self.net
            X = first(F.max_pool2d(F.relu(norm(conv(X))), 3, 2, 1))
            X = second(F.avg_pool2d(pooled(F.relu(norm2(X))), 2))
            return linear(F.relu(last(X)).mean((2, 3)))

    model, other = create(d2l), create(d2l, seed=1)
    code = Code(**OPTIONS)
    net = list(model.net)
    for block in (net[4], net[6]):
        block.blocks = nn.ModuleList(map(Bottleneck, block.blocks))
    logits = d2l.predict(model, X)
    code.net = nn.Sequential(
        *net[:2], net[4], net[5][0], net[5][3], net[6], net[7], net[-1]
    )
    np.testing.assert_allclose(d2l.predict(code, X), logits, rtol=1e-4, atol=1e-5)
    d2l.save_weights(code, tmp_path / "code")
    d2l.load_weights(other, tmp_path / "code")
    np.testing.assert_allclose(d2l.predict(other, X), logits, rtol=1e-4, atol=1e-5)


@in_backends("tensorflow")
def test_an_activation_of_a_keras_layer(d2l, tmp_path):
    import keras

    model = create(d2l)
    model.net.layers[-1].activation = keras.activations.softmax
    with pytest.raises(ValueError, match="got softmax .* after all others"):
        d2l.save_weights(model, tmp_path / "mine")


@in_backends("tensorflow")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, about NumPy
@pytest.mark.parametrize("option", ["epsilon", "negative_slope", "momentum"])
def test_an_option_in_a_file_of_keras(d2l, tmp_path, option):
    """Its config says which: one that changes logits is not lost."""
    import keras

    model, other = create(d2l), create(d2l, seed=1)
    norm, relu = model.net.layers[2:4]
    setattr(relu if option == "negative_slope" else norm, option, 0.5)
    logits = d2l.predict(model, X)
    keras.Sequential([keras.Input((16, 16, 3)), model]).save(tmp_path / "model.keras")
    if option == "momentum":
        d2l.load_weights(other, tmp_path / "model.keras")
        np.testing.assert_allclose(d2l.predict(other, X), logits, rtol=1e-4)
    else:
        rule = (
            f"got another {option} of the layer net.*load_model, and use save_weights"
        )
        with pytest.raises(ValueError, match=rule):
            d2l.load_weights(other, tmp_path / "model.keras")


@in_backends("torch")
def test_a_head_with_other_classes(d2l, tmp_path):
    from torch import nn

    model = create(d2l)
    model.net[-1] = nn.Linear(model.net[-1].in_features, 7)
    with pytest.raises(ValueError, match=r"num_classes=7; .*as its framework does$"):
        d2l.save_weights(model, tmp_path / "mine")


def test_a_normalization_without_scale_is_refused(d2l, backend):
    """Its network ignores, or lacks, a weight that every DenseNet has."""
    name = {"torch": "affine", "jax": "use_scale"}.get(backend, "scale")
    model = variant(d2l, backend, stem=norm(backend, **{name: False}))
    with pytest.raises(ValueError, match=r"^Mine must have .*norm"):
        d2l.set_weights(model, d2l.get_weights(create(d2l)))


@in_backends("torch", "mxnet")
def test_a_type_that_is_too_small(d2l, backend):
    """Checked after the conversion, before anything changes."""
    model = create(d2l)
    weights, name = d2l.get_weights(model), "classifier.weight"
    if backend == "torch":
        model.half()
        name = "features.norm0.running_var"  # which Gluon keeps in float32
    else:
        model.net.cast("float16")
    before = d2l.get_weights(model)
    weights = {n: array + 1 for n, array in weights.items()}
    weights[name] = weights[name] * 1e5
    with pytest.raises(ValueError, match=f"{name} has numbers that .*float16 turns"):
        d2l.set_weights(model, weights)
    assert_same(d2l.get_weights(model), before)
