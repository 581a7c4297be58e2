"""Files made to run code, or to make a reader allocate or compute without end.

Each trace that code would leave is shown by what runs it, where that is safe.
"""

import collections
import copyreg
import io
import os
import pickle
import struct
import zipfile

import pytest
from shared.weight_files import SMALL, random_weights, refusal

from d2lext.core.densenet import formats
from d2lext.core.densenet.architecture import Layer

NORM = Layer("features.norm5", "norm", (2,), bias=True)
NOTHING = "such as 'features.conv0.weight', got no tensors"


class Call:
    """Calls a function when it is unpickled without care."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduced


def archive(path, data):
    """An archive as of torch.save, with these bytes for a pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", data)
        file.writestr("archive/data/0", b"\0" * 8)


class WithState:
    """An object whose state a method takes when it is unpickled without care."""

    def __init__(self, path):
        self.path = str(path)

    def __getstate__(self):
        return {"path": self.path}

    def __setstate__(self, state):
        os.mkdir(state["path"])


def evil(kind, trace):
    """An object that makes the folder `trace` when it is unpickled without care."""
    return {
        "reduce": Call(os.mkdir, str(trace)),
        "system": Call(os.system, f"mkdir {trace}"),
        "nested": {"state_dict": [{"a": (Call(os.mkdir, str(trace)),)}]},
        "argument": Call(list, [Call(os.mkdir, str(trace))]),
        "state": Call(collections.OrderedDict, state={"x": Call(os.mkdir, str(trace))}),
        "setstate": WithState(trace),
        "eval": Call(eval, f"__import__('os').mkdir({str(trace)!r})"),
        "key": {Call(os.mkdir, str(trace)): 1},
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["reduce", "system", "nested", "argument", "state", "setstate", "eval", "key"],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_is_not_run(tmp_path, kind, protocol):
    path, trace = tmp_path / "evil.pth", tmp_path / "trace"
    data = pickle.dumps(evil(kind, trace), protocol)
    archive(path, data)
    assert NOTHING in refusal(path)
    assert not trace.exists()
    pickle.loads(data)
    assert trace.exists()  # the file would have done it


def test_no_module_is_imported(tmp_path):
    (tmp_path / "evil_module.py").write_text("raise SystemExit")
    path = tmp_path / "evil.pth"
    archive(path, b"\x80\x02cevil_module\nx\n.")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        assert NOTHING in refusal(path)
        with pytest.raises(SystemExit):
            pickle.loads(b"\x80\x02cevil_module\nx\n.")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_code_in_a_bare_pickle(tmp_path, protocol):
    path, trace = tmp_path / "evil.pth", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Call(os.mkdir, str(trace)), protocol))
    assert "must be a pickle of torch.save, got another" in refusal(path)
    assert not trace.exists()
    path.write_bytes(pickle.dumps({"a": 1}, protocol))
    assert "must be a pickle of torch.save, got another" in refusal(path)


PICKLES = {
    # The registry of extensions holds real objects.
    "extension": (b"\x80\x02\x82\xf0.", "must hold a pickle of PyTorch, got another"),
    "memo": (b"\x80\x02K\x01r\xff\xff\xff\x7f.", "must hold a pickle of PyTorch"),
    "length": (b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"abc.", "damaged"),
    "no stop": (b"\x80\x02}", "damaged"),
    "empty stack": (b"\x80\x02R.", "damaged"),
    "calls a string": (b"\x80\x02X\1\0\0\0a)R.", "damaged"),
    "persistent": (b"\x80\x02X\1\0\0\0aQ.", NOTHING),
    "instance": (b"(I1\nios\nmkdir\n.", NOTHING),
    # An object in itself.
    "recursive": (b"\x80\x02}q\0X\1\0\0\0ah\0s.", NOTHING),
    "own state": (b"\x80\x02cx\ny\n)Rq\0h\0b.", NOTHING),
    "deep": (b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".", NOTHING),
    "deep state": (
        b"\x80\x02cx\ny\nq\0" + b"h\0)R}X\1\0\0\0a" * 10_000 + b"K\1" + b"sb" * 10_000
        + b".",
        NOTHING,
    ),
    # 2 to the power of 64 paths through 64 dictionaries.
    "bomb": (
        b"\x80\x02}q\0"
        + b"".join(
            b"}X\1\0\0\0ah%csX\1\0\0\0bh%csq%c" % (i, i, i + 1) for i in range(64)
        )
        + b".",
        NOTHING,
    ),
    "long names": (
        b"\x80\x02" + (b"}X\x90\1\0\0" + b"a" * 400) * 200 + b"K\1" + b"s" * 200 + b".",
        NOTHING,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PICKLES)
def test_pickles(tmp_path, kind):
    data, message = PICKLES[kind]
    archive(tmp_path / "evil.pth", data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copyreg, "_extension_cache", {0xF0: os.mkdir})
        assert message in refusal(tmp_path / "evil.pth")


def storage(key="0", length=2, dtype="FloatStorage"):
    """The opcodes of a storage's persistent id."""
    return b"(X\7\0\0\0storagectorch\n%s\nX\1\0\0\0%sX\3\0\0\0cpuJ%stQ" % (
        dtype.encode(),
        key.encode(),
        struct.pack("<i", length),
    )


def tensor(content=None, offset=0, shape=2, stride=1):
    """The opcodes of a tensor of one axis."""
    return b"ctorch._utils\n_rebuild_tensor_v2\n(%sJ%sJ%s\x85J%s\x85\x89}tR" % (
        content or storage(),
        *(struct.pack("<i", n) for n in (offset, shape, stride)),
    )


@pytest.mark.parametrize(
    "content",
    [
        tensor(storage(length=2**30), shape=2**30),
        tensor(offset=-1),
        tensor(offset=2**30),
        tensor(stride=2**30),
        tensor(stride=-1),
        tensor(storage("9")),
        tensor(b"N"),  # of no storage at all
        tensor(storage(dtype="NoStorage")),
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
        b"ctorch._utils\n_rebuild_parameter\n)R",
    ],
)
def test_tensors_that_are_not_there(tmp_path, content):
    """No claim about a tensor makes memory be read or allocated beyond the file."""
    path = tmp_path / "evil.pth"
    name = b"features.norm5.bias"
    archive(path, b"\x80\x02}X%s%s%ss." % (struct.pack("<i", len(name)), name, content))
    with pytest.raises(ValueError, match="must fit|damaged|must have the layers"):
        formats.read(path, [NORM])


def test_a_real_tensor(tmp_path):
    """What the files above are made of can be read."""
    path = tmp_path / "good.pth"
    names = b"weight", b"bias", b"running_mean", b"running_var"
    items = b"".join(
        b"X%s%s%ss" % (struct.pack("<i", 15 + len(n)), b"features.norm5." + n, tensor())
        for n in names
    )
    archive(path, b"\x80\x02}" + items + b".")
    assert len(formats.read(path, [NORM])) == 4


def test_compressed_members(tmp_path):
    """A small archive cannot become a large object."""
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/byteorder", b"\0" * 10_000_000)
        file.writestr("a/data.pkl", b"\x80\x02}.")
    assert "must be an uncompressed archive" in refusal(path)


def test_adapted_tensors_are_in_the_file(tmp_path):
    """Neither another number of channels nor of classes makes a claim believed."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "huge.weights.h5"
    conv = Layer("features.conv0", "conv", (6, 3, 7, 7), bias=False)
    linear = Layer("classifier", "linear", (10, 15), bias=False)
    with h5py.File(path, "w") as file:  # numbers that no file stores: HDF5 has zeros
        for name, shape in {"conv2d": (7, 7, 2**40, 6), "dense": (15, 2**40)}.items():
            group = file.create_group(f"layers/{name}/vars")
            group.create_dataset("0", shape, "f4", chunks=(1,) * len(shape))
    for options in {"adapt_input": True}, {"classes": range(10)}:
        with pytest.raises(ValueError, match="larger than the file"):
            formats.read(path, [conv, linear], **options)


def test_flax_arrays_that_are_not_there(tmp_path):
    msgpack = pytest.importorskip("msgpack", reason="Flax is not installed")
    path = tmp_path / "evil.msgpack"
    for content in (
        ([2**60], "float32", b"1234"),
        ([1], "O", b"12345678"),
        ([1], "no type", b"1234"),
        ([-1], "float32", b"1234"),
        ([1], "float32"),
    ):
        array = msgpack.ExtType(1, msgpack.packb(content))
        path.write_bytes(
            msgpack.packb({"params": {"net": {"layers_0": {"bias": array}}}})
        )
        assert "damaged" in refusal(path)
    path.write_bytes(b"\x81\xa1a" * 100_000 + b"\x01")
    assert "damaged" in refusal(path)
    data = io.BytesIO(
        msgpack.packb({"params": random_weights(SMALL)["classifier.bias"].tolist()})
    )
    path.write_bytes(data.getvalue())
    assert "must hold the variables of a DenseNet of this library" in refusal(path)
