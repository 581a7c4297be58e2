"""Every network of the registry in every framework: counts, shapes, options, errors."""

import dataclasses
import gc
import inspect
import math

import numpy as np
import pytest
from shared.frameworks import native
from shared.published import (
    LOADED,
    NUMBERS,
    PUBLISHED,
    TABLE_2,
    check_network,
    count,
    expected_count,
    shapes,
)
from shared.random_images import images
from shared.selected import SELECTED, in_backends

from d2lext.core.densenet.architecture import Architecture
from d2lext.core.densenet.registry import architecture, list_models
from d2lext.core.frameworks import IDS
from d2lext.core.module import Module

# A network that is built in a moment, with the stem of those for ImageNet.
TINY = {"arch": (2, 2), "growth_rate": 4, "num_channels": 8, "num_classes": 10}


def tiny(d2l, name="densenet121", **options):
    """A network of few channels, and its weights."""
    model = d2l.create_model(name, **TINY | options)
    return model, d2l.get_weights(model)


def same(weights, others):
    """Whether the tensors are equal bit for bit."""
    assert list(weights) == list(others)
    return all(np.array_equal(weights[name], others[name]) for name in weights)


# Counts


@pytest.mark.parametrize("name", list_models())
def test_counts_agree(name):
    """The oracles with each other, and the library's description with them."""
    if name in NUMBERS:
        assert count(*NUMBERS[name]) == expected_count(name)
    if name in TABLE_2:
        assert round(expected_count(name) / 1e6, 1) == TABLE_2[name]
    assert architecture(name).num_params == expected_count(name)


def builds():
    """A framework and a name for each network to build.

    Every framework builds those whose numbers are published, and the small ones. The
    others differ from these in numbers alone and take seconds each: one in turn does.
    What test_pretrained.py builds as well, it checks there.
    """
    turn = 0
    for name in list_models():
        small = expected_count(name) < 3e6
        chosen = SELECTED
        if not small and name not in PUBLISHED and name not in TABLE_2:
            chosen, turn = [SELECTED[turn % len(SELECTED)]], turn + 1
        for backend in chosen:
            first = name == "densenet121" and backend == SELECTED[0]
            marks = () if first or name == "densenet_d2l" else pytest.mark.slow
            if first or name not in LOADED:
                yield pytest.param(backend, name, marks=marks)


@pytest.mark.parametrize(("backend", "name"), list(builds()), indirect=["backend"])
def test_every_network(d2l, name):
    check_network(d2l, name, d2l.create_model(name))
    gc.collect()


def test_every_name_is_a_function(d2l):
    assert d2l.list_models() == list_models()
    assert d2l.list_models("bc") == [name for name in list_models() if "bc" in name]
    options = {"arch": (1,), "growth_rate": 2, "num_channels": 4, "num_classes": 3}
    for name in list_models():
        model = getattr(d2l, name)(**options)
        assert d2l.architecture_of(model) == d2l.architecture(name, **options)


# Options


LAYER = "features.denseblock1.denselayer"


@in_backends(*IDS, slow=["tensorflow"])  # which takes a second for each network
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {},
            {
                "features.conv0.weight": (8, 3, 7, 7),
                f"{LAYER}1.conv1.weight": (16, 8, 1, 1),
                f"{LAYER}1.norm2.weight": (16,),
                f"{LAYER}2.conv2.weight": (4, 16, 3, 3),
                f"{LAYER}3.conv1.weight": None,
                "features.transition1.conv.weight": (8, 16, 1, 1),
                "features.transition2.conv.weight": None,
                "classifier.weight": (10, 16),
            },
        ),
        (
            {"growth_rate": 6},
            {f"{LAYER}2.conv2.weight": (6, 24, 3, 3), "classifier.weight": (10, 22)},
        ),
        (
            {"arch": (1, 2, 3)},
            {
                f"{LAYER}2.conv1.weight": None,
                "features.transition2.conv.weight": (7, 14, 1, 1),
                "features.denseblock3.denselayer3.conv1.weight": (16, 15, 1, 1),
            },
        ),
        (
            {"num_channels": 12},
            {"features.conv0.weight": (12, 3, 7, 7), "features.norm0.bias": (12,)},
        ),
        (
            {"bottleneck_size": None},
            {
                f"{LAYER}1.conv1.weight": (4, 8, 3, 3),
                f"{LAYER}1.conv2.weight": None,
                f"{LAYER}1.norm2.weight": None,
            },
        ),
        ({"bottleneck_size": 2}, {f"{LAYER}1.conv1.weight": (8, 8, 1, 1)}),
        # 0.3 of 16 channels are 4.8; the paper rounds down.
        ({"compression": 0.3}, {"features.transition1.conv.weight": (4, 16, 1, 1)}),
        ({"num_classes": 7}, {"classifier.weight": (7, 16), "classifier.bias": (7,)}),
        ({"in_channels": 1}, {"features.conv0.weight": (8, 1, 7, 7)}),
        (
            {"small_images": True},
            {"features.conv0.weight": (8, 3, 3, 3), "features.norm0.weight": None},
        ),
        ({"bias": True}, {"features.conv0.bias": (8,), f"{LAYER}1.conv1.bias": (16,)}),
    ],
    ids=lambda case: next(iter(case), "none") if isinstance(case, dict) else None,
)
def test_options(d2l, options, expected):
    model, weights = tiny(d2l, **options)
    found = shapes(weights)
    assert {name: found.get(name) for name in expected} == expected
    assert d2l.num_params(model) == sum(
        array.size for name, array in weights.items() if "running_" not in name
    )
    assert d2l.architecture_of(model) == Architecture(
        **{"bottleneck_size": 4, "bias": False, "in_channels": 3} | TINY | options
    )


def test_seed(d2l):
    _, weights = tiny(d2l)
    assert same(tiny(d2l, seed=0)[1], weights)
    others = tiny(d2l, seed=1)[1]
    for name, array in weights.items():
        drawn = "conv" in name or name == "classifier.weight"
        assert np.array_equal(array, others[name]) != drawn, name


def test_options_of_numpy(d2l, tmp_path):
    """NumPy's numbers and arrays, and lists, give the network that Python's give."""
    options = {
        "arch": np.array([2, 2]),
        "growth_rate": np.int64(4),
        "num_channels": np.uint8(8),
        "num_classes": np.int32(10),
        "compression": np.float32(0.7),  # 11 of 16 channels stay, by either type
        "bias": np.bool_(True),
        "dropout": np.float64(0.25),
        "seed": np.int64(3),
    }
    model, weights = tiny(d2l, **options)
    plain = {"compression": 0.7, "bias": True, "dropout": 0.25, "seed": 3}
    expected, expected_weights = tiny(d2l, **plain)
    assert same(weights, expected_weights)
    assert weights["features.transition1.conv.weight"].shape == (11, 16, 1, 1)
    for name in ("growth_rate", "num_classes", "compression", "bias", "dropout"):
        assert getattr(model, name) == getattr(expected, name)
        assert type(getattr(model, name)) is type(getattr(expected, name))
    for i, saved in enumerate((model, expected)):
        d2l.save_weights(saved, tmp_path / str(i))
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()


def test_a_list_stays_its_callers(d2l):
    arch = [2, 2]
    model, weights = tiny(d2l, arch=arch)
    arch.append(1)
    assert tuple(model.arch) == (2, 2)
    assert same(d2l.get_weights(model), weights)


@pytest.mark.parametrize("name", ["DenseNet", "DenseNetBC"])
def test_options_of_numpy_in_the_chapters_networks(d2l, tmp_path, name):
    for arch in ((np.int64(1), 1), [1, 1]):
        model = getattr(d2l, name)(arch=arch, growth_rate=np.int64(4), num_channels=8)
        model.layer_summary(native(d2l, (1, 1, 16, 16)))
        assert tuple(model.arch) == (1, 1)
        assert {type(n) for n in (*model.arch, model.growth_rate)} == {int}
        d2l.save_weights(model, tmp_path / "weights")
    for wrong in ({"growth_rate": (8, 8)}, {"arch": 4}, {"arch": np.array([1, 1])}):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must "):
            getattr(d2l, name)(**wrong)


def test_initializers(d2l):
    """He's normal distribution has no bound, Glorot's uniform one has."""
    kernel, limit = "features.conv0.weight", math.sqrt(6 / ((3 + 64) * 49))
    for init, inside in {"he": False, "xavier": True}.items():
        _, weights = tiny(d2l, init=init, num_channels=64)
        assert (np.abs(weights[kernel]).max() <= limit) == inside
    with pytest.raises(ValueError, match="init must be 'he' or 'xavier', got 'zeros'"):
        tiny(d2l, init="zeros")


def test_training_options(d2l):
    model, _ = tiny(d2l, lr=0.3, momentum=0.8, weight_decay=1e-3, dropout=0.1)
    found = model.lr, model.momentum, model.weight_decay, model.dropout
    assert found == (0.3, 0.8, 1e-3, 0.1)


@pytest.mark.slow
def test_dropout_and_memory(d2l):
    """Dropout acts in training alone; what saves memory changes no number."""
    (X, y), block = images((4, 3, 8, 8)), {"arch": (1,)}
    plain, weights = tiny(d2l, **block)
    dropped, same_weights = tiny(d2l, **block, dropout=0.5)
    thrifty, _ = tiny(d2l, **block, memory_efficient=True)
    assert same(same_weights, weights)
    logits = d2l.predict(plain, X)
    assert logits.shape == (4, 10)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(d2l.predict(dropped, X), logits)
    np.testing.assert_array_equal(d2l.predict(thrifty, X), logits)
    training = d2l.examine(plain, X, y).logits
    assert np.abs(d2l.examine(dropped, X, y).logits - training).max() > 0.1
    close = d2l.examine(thrifty, X, y).logits
    np.testing.assert_allclose(close, training, rtol=1e-5, atol=1e-5)


def test_defaults(d2l):
    """`DenseNetBC`, which a chapter defines, has the defaults of `Architecture`."""
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(Architecture)
        # The network learns its input's channels from the first batch.
        if field.name not in ("arch", "in_channels")
    }
    parameters = inspect.signature(d2l.DenseNetBC).parameters
    assert {name: parameters[name].default for name in defaults} == defaults


def test_the_first_chapters_network(d2l):
    """`DenseNet` has the layers of densenet_d2l in their order."""
    options = {"arch": (2, 1, 1, 1), "growth_rate": 8, "num_channels": 16}
    created = d2l.create_model("densenet_d2l", seed=3, **options)
    model = d2l.DenseNet(**options)
    size = (1, 32, 32)
    model.layer_summary(native(d2l, (1, *size)))
    d2l.set_weights(model, d2l.get_weights(created))
    described = dataclasses.replace(architecture("densenet_d2l"), **options)
    assert d2l.architecture_of(model) == described
    X, _ = images((2, *size))
    np.testing.assert_allclose(
        d2l.predict(model, X), d2l.predict(created, X), rtol=1e-6, atol=1e-6
    )


# Errors


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        (
            "densenet12",
            {},
            ValueError,
            r"there is no model 'densenet12': choose one of list_models\(\), for example "
            "densenet121",
        ),
        ("resnet", {}, ValueError, "there is no model 'resnet': .* densenet"),
        (
            "densenet121",
            {"growth": 12},
            TypeError,
            "create_model has no option 'growth': choose from .*growth_rate",
        ),
        ("densenet121", {"dropout": 1}, ValueError, "must be >= 0 and < 1, got 1$"),
        ("densenet121", {"dropout": -0.1}, ValueError, "dropout must .* got -0.1"),
        (
            "densenet121",
            {"compression": 0},
            ValueError,
            "compression must be a number > 0 and <= 1, got 0",
        ),
        ("densenet121", {"compression": 1.5}, ValueError, "compression .* got 1.5"),
        (
            "densenet121",
            TINY | {"compression": 0.01},
            ValueError,
            "compression must leave .* got 0.01, which leaves none to .*transition1.conv",
        ),
        (
            "densenet121",
            {"growth_rate": 0},
            ValueError,
            "growth_rate must be an integer >= 1, got 0",
        ),
        ("densenet121", {"bottleneck_size": 0}, ValueError, "bottleneck_size must"),
        ("densenet121", {"num_classes": 0}, ValueError, "num_classes must .* got 0"),
        ("densenet121", {"in_channels": 0}, ValueError, "in_channels must .* got 0"),
        ("densenet121", {"arch": ()}, ValueError, "arch must hold at least one"),
        ("densenet121", {"arch": (2, 0)}, ValueError, r"arch must .* got \(2, 0\)"),
        ("densenet121", {"arch": 4}, ValueError, "arch must .* got 4: pass a tuple"),
        ("densenet121", {"arch": iter([1])}, ValueError, "arch must .*: pass a tuple"),
        ("densenet121", {"growth_rate": (8, 8)}, ValueError, r"rate must .* \(8, 8\)"),
        ("densenet121", {"dropout": "0.5"}, ValueError, "dropout must .* got '0.5'"),
        ("densenet121", {"dropout": math.nan}, ValueError, "dropout must .* got nan"),
        ("densenet121", {"bias": "no"}, ValueError, "bias must be False or True, got"),
        ("densenet121", {"memory_efficient": "no"}, ValueError, "efficient must be F"),
        ("densenet121", TINY | {"seed": None}, ValueError, "seed must .* got None"),
        ("densenet121", TINY | {"seed": 2**70}, ValueError, "seed must be .* < 2"),
        (121, {}, ValueError, r"no model 121: choose one of list_models\(\)"),
    ],
)
def test_wrong_options(d2l, name, options, error, message):
    with pytest.raises(error, match=message):
        d2l.create_model(name, **options)


@pytest.mark.parametrize(
    ("options", "smallest"),
    [({}, 5), ({"arch": (1, 1, 1)}, 13), ({"small_images": True}, 2)],
    ids=["two blocks", "three blocks", "small images"],
)
def test_image_too_small(d2l, options, smallest):
    model, _ = tiny(d2l, **options)
    logits = d2l.predict(model, images((1, 3, smallest, smallest))[0])
    assert np.isfinite(logits).all()
    wanted = f"needs images of at least {smallest}x{smallest} pixels, got "
    for size in (smallest - 1, smallest), (smallest, smallest - 1):
        got = f"{wanted}{size[0]}x{size[1]}: enlarge them"
        with pytest.raises(ValueError, match=got):
            d2l.predict(model, images((1, 3, *size))[0])


class PerBlock(Module):
    """A reader's network with a growth rate for each block."""

    def __init__(self, growth_rate, arch=(2, 2), num_channels=8, num_classes=10):
        super().__init__()
        self.save_hyperparameters()


def test_hyperparameters_of_ones_own():
    """They are refused like mistakes, unless the class says that it takes them."""
    assert PerBlock(growth_rate=12).min_image_size == 5
    remedy = r"^growth_rate must be an integer >= 1, got \(12, 24\): .* override check_"
    with pytest.raises(ValueError, match=remedy):
        PerBlock(growth_rate=(12, 24))
    own = type("Own", (PerBlock,), {"check_hyperparameters": lambda self: None})
    assert own(growth_rate=(12, 24)).hparams["growth_rate"] == (12, 24)
