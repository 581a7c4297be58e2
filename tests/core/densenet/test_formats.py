"""Weight files that PyTorch, Keras, Gluon and safetensors wrote, read without them.

The oracle is the tensor that the library itself holds under its own name.
"""

import io
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import warnings
import zipfile

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from shared.weights import assert_same

from d2lext.core.densenet import formats
from d2lext.core.densenet.architecture import Architecture

# The smallest network with which every layer of a kind has a number above 10.
SMALL = Architecture(
    arch=(2, 2, 2, 2),
    growth_rate=4,
    num_channels=6,
    bottleneck_size=4,
    bias=False,
    num_classes=10,
    in_channels=3,
)
# keras.applications leaves only the number of blocks to its callers.
KERAS = Architecture(**SMALL.options() | {"growth_rate": 32, "num_channels": 64})


def random_weights(architecture):
    rng = np.random.default_rng(0)
    return {
        name: rng.random(shape, np.float32) + 0.1
        for name, shape in architecture.tensors().items()
    }


def refusal(path, architecture=SMALL):
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        formats.read(path, architecture.layers())
    return str(caught.value).removeprefix(f"{path} ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


# PyTorch


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture(scope="module")
def torch_net(torch):
    """A module with the network's layers under torchvision's names."""
    from torch import nn

    net = nn.Module()
    for layer in SMALL.layers():
        if layer.kind == "conv":
            module = nn.Conv2d(
                layer.shape[1], layer.shape[0], layer.shape[2:], bias=False
            )
        elif layer.kind == "norm":
            module = nn.BatchNorm2d(layer.shape[0])
        else:
            module = nn.Linear(*layer.shape[::-1])
        parent = net
        *path, last = layer.name.split(".")
        for part in path:
            if not hasattr(parent, part):
                parent.add_module(part, nn.Module())
            parent = getattr(parent, part)
        parent.add_module(last, module)
    weights = random_weights(SMALL)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name in weights:
                tensor.copy_(torch.from_numpy(weights[name]))
    return net


def old_names(net):
    state = net.state_dict()
    pattern = r"(denselayer\d+\.(?:norm|conv))([12])"
    return {re.sub(pattern, r"\1.\2", k): v for k, v in state.items()}


def in_one_storage(net):
    """Views of one flat tensor, the convolutions' ones with strides of channels_last."""
    import torch

    state = {k: v for k, v in net.state_dict().items() if "num_batches" not in k}
    flat = torch.cat(
        [v.permute(0, 2, 3, 1).flatten() if v.ndim == 4 else v.flatten()
         for v in state.values()]
    )  # fmt: skip
    start = 0
    for name, v in state.items():
        part = flat[start : start + v.numel()]
        start += v.numel()
        if v.ndim == 4:
            o, i, h, w = v.shape
            state[name] = part.view(o, h, w, i).permute(0, 3, 1, 2)
        else:
            state[name] = part.view(v.shape)
    assert not state["features.conv0.weight"].is_contiguous()
    return state


CONTENTS = {
    "state_dict": lambda net: net.state_dict(),
    "parameters": lambda net: net.state_dict(keep_vars=True),
    "checkpoint": lambda net: {"epoch": 3, "state_dict": net.state_dict()},
    "data_parallel": lambda net: {
        f"module.{k}": v for k, v in net.state_dict().items()
    },
    "names_of_2017": old_names,
    "views": in_one_storage,
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
@pytest.mark.parametrize("content", CONTENTS)
def test_torch(torch, torch_net, tmp_path, content, zipped):
    path = tmp_path / "weights.bin"
    state = CONTENTS[content](torch_net)
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert zipfile.is_zipfile(path) == zipped
    expected = {name: torch_net.state_dict()[name].numpy() for name in SMALL.tensors()}
    assert_same(formats.read(path, SMALL.layers()), expected)
    assert formats.read_metadata(path) is None


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_torch_protocols(torch, torch_net, tmp_path, protocol):
    expected = {name: torch_net.state_dict()[name].numpy() for name in SMALL.tensors()}
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pth"
        torch.save(
            torch_net.state_dict(),
            path,
            pickle_protocol=protocol,
            _use_new_zipfile_serialization=zipped,
        )
        assert_same(formats.read(path, SMALL.layers()), expected)


class OldTensor:
    """A tensor as it was described before PyTorch 0.4, without gradient and hooks."""

    def __init__(self, tensor, offset=0):
        self.tensor, self.offset = tensor, offset

    def __reduce__(self):
        import torch

        t = self.tensor
        args = (t._typed_storage(), self.offset, tuple(t.shape), t.stride())
        return torch._utils._rebuild_tensor, args


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
def test_torch_tensors_of_2017(torch, torch_net, tmp_path, zipped):
    path = tmp_path / "old.pth"
    state = {name: torch_net.state_dict()[name] for name in SMALL.tensors()}
    old = {name: OldTensor(tensor) for name, tensor in state.items()}
    torch.save(old, path, _use_new_zipfile_serialization=zipped)
    assert b"_rebuild_tensor\n" in path.read_bytes()
    expected = {name: tensor.numpy() for name, tensor in state.items()}
    assert_same(formats.read(path, SMALL.layers()), expected)
    for offset in (1, -1, 2**62):
        old["classifier.bias"] = OldTensor(state["classifier.bias"], offset)
        torch.save(old, path, _use_new_zipfile_serialization=zipped)
        assert "is truncated or damaged" in refusal(path)


class Code:
    """What runs when it is unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
def test_code_is_not_run(torch, tmp_path, zipped):
    path, trace = tmp_path / "evil.pth", tmp_path / "trace"
    content = {"features.conv0.weight": Code(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert f"calls for {os.mkdir.__module__}.mkdir" in refusal(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()  # the file would have done it


def test_code_in_a_pickle(tmp_path):
    for protocol in range(2, 6):
        path, trace = tmp_path / f"{protocol}.pth", tmp_path / f"trace{protocol}"
        path.write_bytes(pickle.dumps(Code(trace), protocol=protocol))
        assert f"calls for {os.mkdir.__module__}.mkdir" in refusal(path)
        assert not trace.exists()
    path.write_bytes(pickle.dumps({"a": 1}))
    assert "is a pickle, but not from torch.save" in refusal(path)


def test_huge_memo_of_a_pickle(tmp_path):
    path = tmp_path / "memo.pth"
    path.write_bytes(b"\x80\x02K\x01r\xff\xff\xff\x7f.")
    assert "has a pickle that is not PyTorch's" in refusal(path)
    path.write_bytes(b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"abc.")
    assert "truncated or damaged" in refusal(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda net: net, r"calls for torch\.nn\.\S+Module.*state_dict\(\)"),
        (lambda net: [net.state_dict()], "must hold a state_dict, it holds a list"),
        (lambda net: net.state_dict() | {"epoch": 3}, "'epoch' is a int: save"),
        (lambda net: {k: v.half() for k, v in net.state_dict().items()}, "float16"),
        (lambda net: {k: v.double() for k, v in net.state_dict().items()}, "float64"),
        (
            lambda net: {k: v.bfloat16() for k, v in net.state_dict().items()},
            r"features\.conv0\.weight has dtype bfloat16 in the file, the network "
            r"float32 \(and \d+ more differences\): convert it to float32",
        ),
        (
            lambda net: net.state_dict() | old_names(net),
            r"has features\.denseblock1\.denselayer1\.norm1\.weight twice",
        ),
    ],
)
def test_torch_contents_that_are_refused(torch, torch_net, tmp_path, content, message):
    path = tmp_path / "weights.pth"
    torch.save(content(torch_net), path)
    assert re.search(message, refusal(path))


@pytest.fixture(scope="module")
def torch_files(torch, torch_net, folder):
    paths = folder / "zip.pth", folder / "stream.pth"
    for path in paths:
        zipped = path.stem == "zip"
        torch.save(torch_net.state_dict(), path, _use_new_zipfile_serialization=zipped)
    return SMALL, paths


def test_torch_stream_details(torch_files, tmp_path):
    _, (_, source) = torch_files
    path, data = tmp_path / "weights.pth", source.read_bytes()
    path.write_bytes(data[:-1])
    ends = f"must end at {len(data)}, the file at {len(data) - 1}"
    assert ends in refusal(path)
    path.write_bytes(re.sub(rb"(?s)(?<=little_endian..)\x88", b"\x89", data))
    assert "must be little-endian, it is big-endian" in refusal(path)


def test_torch_zip_details(torch_files, tmp_path):
    _, (source, _) = torch_files

    def rewrite(name, change=lambda name, data: data, **options):
        path = tmp_path / name
        with (
            zipfile.ZipFile(source) as old,
            zipfile.ZipFile(path, "w", **options) as new,
        ):
            for member in old.namelist():
                new.writestr(member, change(member, old.read(member)))
        return refusal(path)

    def big(member, data):
        return b"big" if member.endswith("byteorder") else data

    def short(member, data):
        return data[:-4] if member.endswith("data/0") else data

    assert "must be little-endian, it is big-endian" in rewrite("big.pth", big)
    assert re.search("storage 0 must have .* bytes", rewrite("short.pth", short))
    compressed = rewrite("compressed.pth", compression=zipfile.ZIP_DEFLATED)
    assert "must be an uncompressed archive" in compressed


# Keras


def keras_name(name):
    """The name of a layer in keras.applications, from torchvision's."""
    fixed = {
        "features.conv0": "conv1_conv",
        "features.norm0": "conv1_bn",
        "features.norm5": "bn",
        "classifier": "predictions",
    }
    if name in fixed:
        return fixed[name]
    if found := re.fullmatch(r"features\.transition(\d)\.(norm|conv)", name):
        block, kind = found.groups()
        return f"pool{int(block) + 1}_{'bn' if kind == 'norm' else 'conv'}"
    found = re.fullmatch(r"features\.denseblock(\d)\.denselayer(\d+)\.(.*)", name)
    block, layer, part = found.groups()
    part = {"norm1": "0_bn", "conv1": "1_conv", "norm2": "1_bn", "conv2": "2_conv"}[
        part
    ]
    return f"conv{int(block) + 1}_block{layer}_{part}"


@pytest.fixture(scope="module")
def keras_net():
    pytest.importorskip(
        "d2lext.tensorflow", reason="Keras is not installed", exc_type=ImportError
    )
    from keras.src.applications.densenet import DenseNet

    net = DenseNet(
        blocks=list(KERAS.arch), weights=None, input_shape=(32, 32, 3), classes=10
    )
    rng = np.random.default_rng(1)
    net.set_weights([rng.random(w.shape, np.float32) + 0.1 for w in net.get_weights()])
    return net


@pytest.fixture(scope="module")
def keras_weights(keras_net):
    """The weights by canonical name, taken from the net by Keras's names."""
    weights = {}
    for layer in KERAS.layers():
        own = keras_net.get_layer(keras_name(layer.name))
        if layer.kind == "norm":
            parts = own.gamma, own.beta, own.moving_mean, own.moving_variance
            values = [part.numpy() for part in parts]
        elif layer.kind == "conv":
            values = [own.kernel.numpy().transpose(3, 2, 0, 1)]
        else:
            values = [own.kernel.numpy().T, own.bias.numpy()]
        weights |= dict(zip(layer.tensors(), values, strict=True))
    return weights


def write_as_keras_2(path, net):
    """The layout of Keras 2 and of the published files: `conv1/bn/gamma:0`."""
    with h5py.File(path, "w") as file:
        names = [layer.name.replace("conv1_", "conv1/") for layer in net.layers]
        # Keras cuts lists that are longer than an attribute may be.
        for i, piece in enumerate(np.array_split(np.array(names, "S"), 2)):
            file.attrs[f"layer_names{i}"] = piece
        for name, layer in zip(names, net.layers, strict=True):
            group = file.create_group(name)
            paths = [f"{name}/{w.name}:0" for w in layer.weights]
            group.attrs["weight_names"] = np.array(paths, "S")
            for weight_path, weight in zip(paths, layer.weights, strict=True):
                group[weight_path] = weight.numpy()


@pytest.fixture(scope="module")
def keras_files(keras_net, folder):
    """A file of each kind that Keras 3 writes, and one as Keras 2 did."""
    from keras.src.legacy.saving import legacy_h5_format

    names = "net.weights.h5", "net.keras", "model.h5", "weights.h5", "keras2.h5"
    paths = [folder / name for name in names]
    with warnings.catch_warnings():
        # Keras's own: TensorFlow's variables do not know NumPy 2's argument `copy`.
        warnings.simplefilter("ignore", DeprecationWarning)
        keras_net.save_weights(paths[0])
        keras_net.save(paths[1])
        keras_net.save(paths[2])
        with h5py.File(paths[3], "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, keras_net)
    write_as_keras_2(paths[4], keras_net)
    return KERAS, paths


def test_keras(keras_files, keras_weights):
    _, paths = keras_files
    for path in paths:
        assert_same(formats.read(path, KERAS.layers()), keras_weights)


def test_keras_state_that_is_no_weight(keras_files, keras_weights, tmp_path):
    """What dropout and an optimiser keep is passed over."""
    path = tmp_path / "trained.weights.h5"
    path.write_bytes(keras_files[1][0].read_bytes())
    with h5py.File(path, "r+") as file:
        file["layers/dropout/seed_generator/vars/0"] = np.zeros(2, np.uint32)
        file["optimizer/vars/0"] = np.array(7)
    assert_same(formats.read(path, KERAS.layers()), keras_weights)


def test_keras_contents_that_are_refused(keras_files, tmp_path):
    _, (v3, _, _, v2, _) = keras_files

    def changed(source, change):
        path = tmp_path / "changed.h5"
        path.write_bytes(source.read_bytes())
        with h5py.File(path, "r+") as file:
            change(file)
        return refusal(path, KERAS)

    def to_half(file):
        kernel = file["layers/dense/vars"].pop("0")[()]
        file["layers/dense/vars/0"] = kernel.astype(np.float16)

    def without_top(file):
        del file["layers/dense"]

    def nested(file):
        file.create_group("layers/sequential/vars")  # Keras writes it, too
        file.create_group("layers/sequential/layers/conv2d/vars")["0"] = np.zeros(1)

    def unknown(file):
        file.create_group("layers/embedding/vars")["0"] = np.zeros((2, 2))

    def external(file):
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(v3), "layers/dense/vars/0")

    def unlike(file):
        file["bn"].attrs["weight_names"] = ["bn/gamma", "bn/gamma"]

    def other(file):
        del file["layers"]

    assert "('layers/dense/vars/0') has dtype float16" in changed(v3, to_half)
    assert "0 linear layers, the network 1" in changed(v3, without_top)
    assert "must have its layers side by side, 'sequential'" in changed(v3, nested)
    assert "has the layer 'embedding'" in changed(v3, unknown)
    assert "'0' is not in it" in changed(v3, external)
    assert "has 'bn/gamma' in the layer 'bn'" in changed(v2, unlike)
    assert "it has 'vars'" in changed(v3, other)


# Gluon


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
    if found := re.fullmatch(r"features\.transition(\d)\.(norm|conv)", name):
        block, kind = found.groups()
        return f"features.{3 + 2 * int(block)}.{0 if kind == 'norm' else 2}"
    found = re.fullmatch(r"features\.denseblock(\d)\.denselayer(\d+)\.(.*)", name)
    block, layer, part = found.groups()
    part = {"norm1": 0, "conv1": 2, "norm2": 3, "conv2": 5}[part]
    return f"features.{2 + 2 * int(block)}.{int(layer) - 1}.1.{part}"


@pytest.fixture(scope="module")
def gluon_net():
    pytest.importorskip(
        "d2lext.mxnet", reason="MXNet is not installed", exc_type=ImportError
    )
    from mxnet import init, nd, npx
    from mxnet.gluon.model_zoo.vision import DenseNet

    npx.reset_np()  # the model zoo is older than MXNet's NumPy interface
    net = DenseNet(SMALL.num_channels, SMALL.growth_rate, list(SMALL.arch), classes=10)
    net.initialize(init.Uniform(0.5))
    net.hybridize()
    net(nd.zeros((1, 3, 224, 224)))
    for i, param in enumerate(net.collect_params().values()):
        param.set_data(nd.random.uniform(i, i + 1, param.shape))
    yield net
    npx.set_np()


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
def gluon_files(gluon_net, folder):
    from mxnet import nd, np, npx

    names = "structural", "prefixed", "stripped", "net-0000", "numpy", "v1"
    paths = [folder / f"{name}.params" for name in names]
    gluon_net.save_parameters(str(paths[0]))
    gluon_net.collect_params().save(str(paths[1]))
    gluon_net.collect_params().save(str(paths[2]), strip_prefix=gluon_net.prefix)
    gluon_net.export(str(folder / "net"))
    params = nd.load(str(paths[0]))
    # MXNet 1.9 writes two versions of the format and reads a third one, which had no
    # type of storage.
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
        ({}, "net.0.weight", "has 'net.0.weight', which the DenseNet of Gluon"),
        ({"magic": 7}, "output.bias", "no array begins with 0x7"),
        ({"stype": 1}, "output.bias", "one is sparse"),
        ({"shape": ()}, "output.bias", "one is empty"),
        ({"shape": (2**62, 2**62)}, "output.bias", "it must have .* bytes"),
        ({"shape": (-1, 2)}, "output.bias", r"no array has shape \(-1, 2\)"),
        ({"type_number": 9}, "output.bias", "type number 9"),
        ({"shape": (1,) * 40}, "output.bias", "at most 32 axes, got 40"),
        ({}, "", "a name for each of its 1 arrays, it has 0"),
    ],
)
def test_gluon_contents_that_are_refused(tmp_path, header, name, message):
    path = tmp_path / "list.params"
    names = struct.pack("<QQ", 1, len(name)) + name.encode() if name else b"\0" * 8
    path.write_bytes(struct.pack("<3Q", 0x112, 0, 1) + gluon_array(**header) + names)
    assert re.search(message, refusal(path))


def test_gluon_half(gluon_files, gluon_net, tmp_path):
    from mxnet import nd

    path = tmp_path / "half.params"
    params = nd.load(str(gluon_files[1][0]))
    nd.save(str(path), {k: v.astype("float16") for k, v in params.items()})
    found = refusal(path)
    assert "features.conv0.weight ('features.0.weight') has dtype float16" in found


# safetensors


@pytest.fixture(scope="module")
def our_files(folder):
    path = folder / "weights.safetensors"
    formats.write(path, random_weights(SMALL), SMALL)
    return SMALL, [path]


def test_write(our_files, tmp_path):
    [path] = our_files[1]
    weights = random_weights(SMALL)
    assert_same(formats.read(path, SMALL.layers()), weights)
    assert_same({n: load_file(path)[n] for n in weights}, weights)
    assert formats.read_metadata(path) == SMALL.options()
    header = json.loads(path.read_bytes()[8:].split(b"}}", 1)[0] + b"}}")
    assert header["__metadata__"]["format"] == "d2lext"
    # Equal bytes, also of arrays that lie otherwise in memory.
    other = tmp_path / "other"
    turned = {n: np.asfortranarray(array) for n, array in weights.items()}
    formats.write(str(other), turned, SMALL)
    assert other.read_bytes() == path.read_bytes()


def test_write_leaves_no_half_file(our_files, tmp_path, monkeypatch):
    path = tmp_path / "weights.safetensors"
    weights = random_weights(SMALL)
    with pytest.raises(ValueError, match="features.conv0.weight is float64: convert"):
        formats.write(path, {n: w.astype(float) for n, w in weights.items()}, SMALL)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        formats.write(path, weights, SMALL)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"before"]
    monkeypatch.undo()
    formats.write(path, weights, SMALL)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == our_files[1][0].read_bytes()
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_safetensors_of_others(tmp_path):
    path, weights = tmp_path / "model.bin", random_weights(SMALL)
    counter = {"features.norm0.num_batches_tracked": np.array(7)}
    save_file(weights | counter, path)
    assert_same(formats.read(path, SMALL.layers()), weights)
    assert formats.read_metadata(path) is None
    save_file(weights, path, metadata={"format": "pt"})
    assert formats.read_metadata(path) is None
    save_file({n: w.astype(np.float64) for n, w in weights.items()}, path)
    assert "features.conv0.weight has dtype float64 in the file" in refusal(path)


def test_metadata_that_is_damaged(tmp_path):
    path, tensors = tmp_path / "model", {"a": np.zeros(1, np.float32)}
    for more in ({"architecture": "{"}, {"architecture": "[]"}, {}):
        save_file(tensors, path, metadata={"format": "d2lext"} | more)
        with pytest.raises(ValueError, match="save it again"):
            formats.read_metadata(path)


# Files that do not fit the network


def _without(weights):
    del weights["features.norm5.bias"], weights["classifier.bias"]


def _with_more(weights):
    weights["head.weight"] = np.zeros(2, np.float32)


def _with_nan(weights):
    weights["features.norm5.running_var"][1] = np.nan
    weights["classifier.bias"][1] = np.inf


def _with_infinity(weights):
    weights["classifier.bias"][1] = np.inf


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            _without,
            {},
            "must fit the network: features.norm5.bias is missing from {what} (and 1 "
            "more difference): build the network that was saved",
        ),
        (
            _with_more,
            {},
            "must fit the network: 'head.weight' is in {what}, but not in the network: "
            "build the network that was saved",
        ),
        (
            None,
            {"num_classes": 7},
            "must fit the network: classifier.weight has shape (10, 15) in {what}, the "
            "network (7, 15) (and 1 more difference): use create_model(..., "
            "num_classes=10)",
        ),
        (
            None,
            {"num_channels": 8},
            "must fit the network: features.conv0.weight has shape (6, 3, 7, 7) in "
            "{what}, the network (8, 3, 7, 7) (and 64 more differences): build the "
            "network that was saved",
        ),
        (
            _with_nan,
            {},
            "must hold finite numbers, features.norm5.running_var has NaN or infinity: "
            "use weights from before the training diverged",
        ),
        (
            _with_infinity,
            {},
            "must hold finite numbers, classifier.bias has NaN or infinity: "
            "use weights from before the training diverged",
        ),
    ],
)
def test_weights_that_do_not_fit(tmp_path, change, options, message):
    weights = random_weights(SMALL)
    if change:
        change(weights)
    path = tmp_path / "weights.safetensors"
    formats.write(path, weights, SMALL)
    network = Architecture(**SMALL.options() | options)
    assert refusal(path, network) == message.format(what="the file")
    with pytest.raises(ValueError, match=r"^the weights must") as caught:
        formats.check(weights, network.tensors(), "the weights")
    assert str(caught.value) == "the weights " + message.format(what="the weights")


def test_check():
    weights = random_weights(SMALL)
    formats.check(weights, SMALL.tensors(), "the weights")
    weights["classifier.bias"] = weights["classifier.bias"].tolist()
    with pytest.raises(ValueError, match="classifier.bias has dtype float64"):
        formats.check(weights, SMALL.tensors(), "the weights")


def test_order_needs_equal_counts(gluon_files):
    network = Architecture(**SMALL.options() | {"arch": [2, 2, 2]})
    found = refusal(gluon_files[1][0], network)
    assert "has 20 conv layers, the network 15: build the network" in found


# Files that cannot be read

FILES = ["torch_files", "keras_files", "gluon_files", "our_files"]


@pytest.mark.parametrize("files", FILES)
def test_truncated(request, tmp_path, files):
    architecture, paths = request.getfixturevalue(files)
    for source in paths:
        data = source.read_bytes()
        path = tmp_path / "short"
        lengths = [20, *(len(data) * i // 8 for i in range(1, 8)), len(data) - 1]
        for length in lengths:
            path.write_bytes(data[:length])
            assert "is truncated or damaged" in refusal(path, architecture), length


@pytest.mark.parametrize("files", FILES)
def test_without_any_framework(request, files):
    """The files are read where no framework can be imported."""
    architecture, paths = request.getfixturevalue(files)
    script = (
        "import sys\n"
        "for name in 'torch', 'jax', 'flax', 'tensorflow', 'keras', 'mxnet':\n"
        "    sys.modules[name] = None\n"
        "from d2lext.core.densenet import formats\n"
        "assert not {'h5py', 'safetensors'} & set(sys.modules)\n"
        "from d2lext.core.densenet.architecture import Architecture\n"
        f"layers = Architecture(**{architecture.options()}).layers()\n"
        "for path in sys.argv[1:]:\n"
        "    formats.read(path, layers)\n"
    )
    subprocess.run([sys.executable, "-c", script, *map(str, paths)], check=True)


def test_files_that_are_something_else(tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(FileNotFoundError):
        formats.read(path, SMALL.layers())
    with pytest.raises(FileNotFoundError):
        formats.read_metadata(path)
    assert "must be a weight file, it is a folder" in refusal(tmp_path)
    path.write_bytes(b"")
    assert "it is empty: download it again" in refusal(path)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    assert "it begins with b'version https://': download it again" in refusal(path)
    path.write_bytes(b'{"ab": [{"b": 1}]}')  # the ninth byte as in safetensors
    assert "of safetensors, PyTorch, Keras or Gluon" in refusal(path)
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    path.write_bytes(buffer.getvalue())
    assert "of safetensors, PyTorch, Keras or Gluon" in refusal(path)


def test_header_longer_than_the_file(our_files, tmp_path):
    path = tmp_path / "weights.safetensors"
    data = our_files[1][0].read_bytes()
    path.write_bytes(struct.pack("<Q", len(data)) + data[8:])
    assert "is truncated or damaged" in refusal(path)
