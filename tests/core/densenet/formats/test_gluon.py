"""Gluon's `.params` in all versions, and lists of arrays that are not valid.

The oracle is Gluon's own tensor of that name.
"""

import re
import struct

import pytest
from shared.weight_files import (
    SMALL,
    assert_refused_when_truncated,
    read_without_any_framework,
    refusal,
)
from shared.weights import assert_same

from d2lext.core.densenet import formats
from d2lext.core.densenet.architecture import Architecture


def gluon_name(name):
    """The name of a layer in Gluon's model zoo, from torchvision's."""
    fixed = {
        "features.conv0": "features.0",
        "features.norm0": "features.1",
        "features.norm5": "features.11",
        "classifier": "output",
    }
    if name in fixed:
        return fixed[name]
    if match := re.fullmatch(r"features\.transition(\d)\.(norm|conv)", name):
        block, kind = match.groups()
        return f"features.{3 + 2 * int(block)}.{0 if kind == 'norm' else 2}"
    match = re.fullmatch(r"features\.denseblock(\d)\.denselayer(\d+)\.(.*)", name)
    block, layer, part = match.groups()
    part = {"norm1": 0, "conv1": 2, "norm2": 3, "conv2": 5}[part]
    return f"features.{2 + 2 * int(block)}.{int(layer) - 1}.1.{part}"


@pytest.fixture(scope="module")
def gluon_net():
    pytest.importorskip(
        "d2lext.mxnet", reason="MXNet is not installed", exc_type=ImportError
    )
    from mxnet import init, nd
    from mxnet.gluon.model_zoo.vision import DenseNet
    from shared.frameworks.mxnet import older_interface

    with older_interface():
        options = SMALL.num_channels, SMALL.growth_rate, list(SMALL.arch)
        net = DenseNet(*options, classes=10)
        net.initialize(init.Uniform(0.5))
        net.hybridize()
        net(nd.zeros((1, 3, 224, 224)))
        for i, param in enumerate(net.collect_params().values()):
            param.set_data(nd.random.uniform(i, i + 1, param.shape))
        yield net


@pytest.fixture(scope="module")
def gluon_weights(gluon_net):
    """The weights by canonical name, taken from the net by Gluon's names."""
    params = gluon_net._collect_params_with_prefix()
    weights = {}
    for layer in SMALL.layers():
        keys = {"norm": ("gamma", "beta", "running_mean", "running_var")}
        for name, key in zip(
            layer.tensors(), keys.get(layer.kind, ("weight", "bias")), strict=False
        ):
            weights[name] = params[f"{gluon_name(layer.name)}.{key}"].data().asnumpy()
    return weights


@pytest.fixture(scope="module")
def gluon_files(gluon_net, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    from mxnet import nd, np, npx

    names = "structural", "prefixed", "stripped", "net-0000", "numpy", "v1"
    paths = [folder / f"{name}.params" for name in names]
    gluon_net.save_parameters(str(paths[0]))
    gluon_net.collect_params().save(str(paths[1]))
    gluon_net.collect_params().save(str(paths[2]), strip_prefix=gluon_net.prefix)
    gluon_net.export(str(folder / "net"))
    params = nd.load(str(paths[0]))
    # MXNet 1.9 writes two versions of the format and reads a third, which had no
    # storage type.
    v2, v1 = struct.pack("<II", 0xF993FAC9, 0), struct.pack("<I", 0xF993FAC8)
    paths[5].write_bytes(paths[0].read_bytes().replace(v2, v1))
    for name, array in nd.load(str(paths[5])).items():
        assert (array == params[name]).asnumpy().all()
    npx.set_np()
    # Dictionaries had no order in the Python that wrote the model zoo's files.
    shuffled = dict(sorted(params.items(), key=lambda item: hash(item[0][::-1]) % 97))
    npx.save(str(paths[4]), {k: np.array(v.asnumpy()) for k, v in shuffled.items()})
    npx.reset_np()
    return SMALL, paths


def test_gluon(gluon_files, gluon_weights):
    _, paths = gluon_files
    for path in paths:
        assert_same(formats.read(path, SMALL.layers()), gluon_weights)


def gluon_array(shape=(2,), type_number=0, magic=0xF993FAC9, stype=0, data=b"\0" * 8):
    header = struct.pack(f"<Iii{len(shape)}q", magic, stype, len(shape), *shape)
    return header + struct.pack("<3i", 1, 0, type_number) + data


@pytest.mark.parametrize(
    ("header", "name", "message"),
    [
        ({}, "conv.0.weight", "'features.0.weight', got 'conv.0.weight': use weights"),
        ({"magic": 7}, "output.bias", "no array begins with 0x7"),
        ({"stype": 1}, "output.bias", "got a sparse one"),
        ({"shape": ()}, "output.bias", "got an empty one"),
        ({"shape": (2**62, 2**62)}, "output.bias", "it must have .* bytes, got"),
        ({"shape": (-1, 2)}, "output.bias", r"no array has shape \(-1, 2\)"),
        ({"type_number": 9}, "output.bias", "type number 9"),
        ({"shape": (1,) * 40}, "output.bias", "at most 32 axes, got 40"),
        ({}, "", "a name for each of its 1 arrays, got 0"),
    ],
)
def test_gluon_contents_that_are_refused(tmp_path, header, name, message):
    path = tmp_path / "list.params"
    names = struct.pack("<QQ", 1, len(name)) + name.encode() if name else b"\0" * 8
    path.write_bytes(struct.pack("<3Q", 0x112, 0, 1) + gluon_array(**header) + names)
    assert re.search(message, refusal(path))


def test_gluon_half(gluon_files, gluon_weights, gluon_net, tmp_path):
    from mxnet import nd

    path = tmp_path / "half.params"
    params = nd.load(str(gluon_files[1][0]))
    for dtype in "float16", "float64":
        nd.save(str(path), {k: v.astype(dtype) for k, v in params.items()})
        expected = {n: w.astype(dtype).astype("f4") for n, w in gluon_weights.items()}
        assert_same(formats.read(path, SMALL.layers()), expected)
    nd.save(str(path), {k: v.astype("int32") for k, v in params.items()})
    message = refusal(path)
    assert "features.conv0.weight ('features.0.weight') has dtype int32" in message


def test_order_needs_equal_counts(gluon_files):
    network = Architecture(**SMALL.options() | {"arch": [2, 2, 2]})
    message = refusal(gluon_files[1][0], network)
    assert re.search("has 20 conv layers .*, the network 15: build the net", message)


def test_truncated(gluon_files, tmp_path):
    assert_refused_when_truncated(gluon_files, tmp_path / "short")


def test_without_any_framework(gluon_files):
    read_without_any_framework(gluon_files)
