"""Files of torch.save in all their forms, and pickles that would run code.

The oracle is PyTorch's own tensor of that name.
"""

import os
import pickle
import re
import struct
import zipfile

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


class Code:
    """Makes a folder when it is unpickled without care."""

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


def test_truncated(torch_files, tmp_path):
    assert_refused_when_truncated(torch_files, tmp_path / "short")


def test_without_any_framework(torch_files):
    read_without_any_framework(torch_files)
