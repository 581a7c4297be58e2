"""Files of torch.save in all their forms: weights, checkpoints, whole modules.

The oracle is PyTorch's own tensor of that name.
"""

import argparse
import collections
import functools
import pathlib
import re
import zipfile

import numpy as np
import pytest
from shared.weight_files import (
    SMALL,
    assert_refused_when_truncated,
    random_weights,
    read_without_any_framework,
    refusal,
)
from shared.weights import assert_same

from d2lext.core.densenet import formats


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
    """Views of one flat tensor, those of convolutions with channels_last strides."""
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


class Net:
    """Something that a checkpoint holds, of a class that only its author has."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


def training_checkpoint(net):
    """What training scripts save beside the weights."""
    import torch

    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for param in net.parameters():
        param.grad = torch.ones_like(param)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    optimizer.step()
    net.load_state_dict(before)
    return {
        "epoch": np.int64(3),
        "best": np.float64(0.5),
        "history": np.arange(5.0),
        "args": argparse.Namespace(
            lr=0.1, out=pathlib.Path("runs"), arch=Net(depth=121)
        ),
        "counts": collections.Counter("abc"),
        "device": torch.device("cpu"),
        "dtype": torch.bfloat16,
        "loss": torch.tensor(0.5, dtype=torch.complex64),
        "rng": torch.get_rng_state(),
        "optimizer": optimizer.state_dict(),
        "lr": functools.partial(print, 1),
        "state_dict": {f"module.{k}": v for k, v in net.state_dict().items()},
    }


def sharing(net):
    """A checkpoint that contains itself, and the weights twice."""
    checkpoint = {"model": net.state_dict()}
    checkpoint["self"] = [checkpoint]
    checkpoint["again"] = checkpoint["model"]
    return checkpoint


CONTENTS = {
    "training": training_checkpoint,
    "module": lambda net: net,
    "object": lambda net: Net(net=net),
    "list": lambda net: [3, net.state_dict()],
    "sharing": sharing,
    "state_dict": lambda net: net.state_dict(),
    "parameters": lambda net: net.state_dict(keep_vars=True),
    "checkpoint": lambda net: {"epoch": 3, "state_dict": net.state_dict()},
    "data_parallel": lambda net: {
        f"module.{k}": v for k, v in net.state_dict().items()
    },
    "state_with_epoch": lambda net: net.state_dict() | {"epoch": 3},
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


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_torch_types(torch, torch_net, tmp_path, dtype, zipped):
    path, state = tmp_path / "half.pth", torch_net.state_dict()
    half = {k: v.to(getattr(torch, dtype)) for k, v in state.items()}
    torch.save(half, path, _use_new_zipfile_serialization=zipped)
    expected = {name: half[name].float().numpy() for name in SMALL.tensors()}
    assert_same(formats.read(path, SMALL.layers()), expected)


def test_torch_float64_too_large(torch, torch_net, tmp_path):
    path = tmp_path / "double.pth"
    torch.save({k: v.double() * 1e300 for k, v in torch_net.state_dict().items()}, path)
    assert "features.conv0.weight has NaN or infinity" in refusal(path)


def test_epsilon_of_a_module(torch, torch_net, tmp_path):
    """A model saved as a whole says what it adds to its variances: here 1e-3."""
    path = tmp_path / "model.pth"
    norms = [m for m in torch_net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.eps = 1e-3
    torch.save({"epoch": 3, "model": torch_net}, path)
    for norm in norms:
        norm.eps = 1e-5
    weights = formats.read(path, SMALL.layers())
    x = torch.rand(2, SMALL.num_channels, 3, 3)
    norm0, names = torch_net.features.norm0, ("running_mean", "running_var")
    mean, variance = (torch.from_numpy(weights[f"features.norm0.{n}"]) for n in names)
    batch_norm = functools.partial(torch.nn.functional.batch_norm, x)
    torch.testing.assert_close(
        batch_norm(mean, variance, eps=1e-5),
        batch_norm(norm0.running_mean, norm0.running_var, eps=1e-3),
    )


class OldTensor:
    """A tensor as pickled before PyTorch 0.4, without gradient and hooks."""

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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda net: {"epoch": 3}, "such as 'features.conv0.weight', got no tensors"),
        (
            lambda net: {f"a.{k[::-1]}": v for k, v in net.state_dict().items()},
            r"got 'a\.thgiew\.0vnoc\.serutaef', 'a\.thgiew\.0mron\..*', \.\.\.: rename",
        ),
        (
            lambda net: {k: v.int() for k, v in net.state_dict().items()},
            r"features\.conv0\.weight has dtype int32 in the file, the network "
            r"float32 \(and \d+ more differences\): convert it to float32",
        ),
        (
            lambda net: {k: v + 0j for k, v in net.state_dict().items()},
            "features.conv0.weight has dtype complex64 in the file",
        ),
        (
            lambda net: net.state_dict() | old_names(net),
            r"must have features\.denseblock1\.denselayer1\.norm1\.weight once, got",
        ),
    ],
)
def test_torch_contents_that_are_refused(torch, torch_net, tmp_path, content, message):
    path = tmp_path / "weights.pth"
    torch.save(content(torch_net), path)
    assert re.search(message, refusal(path))


@pytest.fixture(scope="module")
def torch_files(torch, torch_net, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
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
    assert "must be little-endian, got big-endian" in refusal(path)


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

    assert "must be little-endian, got big-endian" in rewrite("big.pth", big)
    assert re.search("storage 0 must have .* bytes", rewrite("short.pth", short))
    compressed = rewrite("compressed.pth", compression=zipfile.ZIP_DEFLATED)
    assert "must be an uncompressed archive" in compressed


def test_truncated(torch_files, tmp_path):
    assert_refused_when_truncated(torch_files, tmp_path / "short")


def test_without_any_framework(torch_files):
    read_without_any_framework(torch_files)
