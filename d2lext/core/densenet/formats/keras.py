"""Keras's three kinds of files: `.weights.h5`, `.keras` and the `.h5` of Keras 2.

All are HDF5, the second in a zip archive. The names of layers differ between kinds and
between versions, but all record the order of the layers of a kind: by number in the
first two, by a list in the third. So we match layers by order, and their shapes confirm
the match.
"""

import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from d2lext.core.densenet.architecture import Layer
from d2lext.core.densenet.formats.archive import read_member
from d2lext.core.densenet.formats.tensors import (
    FileLayer,
    Tensor,
    WeightFileError,
    by_order,
)

MEMBER = "model.weights.h5"  # of the archive
_REMEDY = "use the weights of a functional model, such as those of keras.applications"
_KINDS = {
    "conv2d": ("conv", ("weight", "bias")),
    "batch_normalization": ("norm", ("weight", "bias", "running_mean", "running_var")),
    "dense": ("linear", ("weight", "bias")),
}
_KIND_OF_NDIM = {4: "conv", 2: "linear", 1: "norm"}
_LEGACY_KEYS = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is HDF5."""
    return head.startswith(b"\x89HDF\r\n\x1a\n")


@contextmanager
def tensors(path: Path, layers: Sequence[Layer]) -> Iterator[dict[str, Tensor]]:
    """The tensors of the file by canonical names, readable within the block."""
    import h5py

    source: Path | io.BytesIO = path
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            source = io.BytesIO(read_member(archive, MEMBER))
    with h5py.File(source, "r") as file:
        root = _get(file, "model_weights") if "model_weights" in file else file
        if "layers" in root:
            file_layers = _numbered_layers(_get(root, "layers"))
        elif "layer_names" in root.attrs or "layer_names0" in root.attrs:
            file_layers = _listed_layers(root)
        else:
            raise WeightFileError(
                f"must have the layers of a Keras model, it has {_some(root)}: "
                f"{_REMEDY}"
            )
        yield by_order(file_layers, layers)


def _numbered_layers(group):
    """The layers of Keras 3: `conv2d`, `conv2d_1`, ..., with variables 0, 1, ..."""
    file_layers = []
    for name in sorted(group, key=_number):
        layer = _get(group, name)
        # A dropout layer also stores the state of its random numbers, which we do not need.
        if not set(layer) <= {"vars", "seed_generator"}:
            raise WeightFileError(
                f"must have its layers side by side, {name!r} contains others, whose "
                f"order the file does not record: {_REMEDY}"
            )
        variables = _get(layer, "vars") if "vars" in layer else {}
        if not len(variables):
            continue
        kind, keys = _KINDS.get(_number(name)[0], ("", ()))
        if not set(variables) <= {str(i) for i in range(len(keys))}:
            raise WeightFileError(
                f"has the layer {name!r} with {len(variables)} variables, which no "
                f"DenseNet has: {_REMEDY}"
            )
        datasets = {keys[int(i)]: _get(variables, i) for i in variables}
        file_layers.append(_layer(kind, datasets))
    return file_layers


def _listed_layers(group):
    """The layers of Keras 2, in the order that an attribute lists."""
    file_layers = []
    for name in _strings(group, "layer_names"):
        layer = _get(group, name)
        datasets = {}
        for path in _strings(layer, "weight_names"):
            variable = path.rpartition("/")[2].partition(":")[0]
            key = _LEGACY_KEYS.get(variable)
            if key is None or key in datasets:
                raise WeightFileError(
                    f"has {path!r} in the layer {name!r}, which no DenseNet has: "
                    f"{_REMEDY}"
                )
            datasets[key] = _get(layer, path)
        if datasets:
            weight = datasets.get("weight")
            kind = None if weight is None else _KIND_OF_NDIM.get(weight.ndim)
            if kind is None:
                raise WeightFileError(
                    f"has the layer {name!r}, which no DenseNet has: {_REMEDY}"
                )
            file_layers.append(_layer(kind, datasets))
    return file_layers


def _layer(kind, datasets):
    """A layer from data sets in Keras's layouts (h, w, in, out) and (in, out)."""
    tensors = {}
    for key, dataset in datasets.items():
        # HDF5 has no bfloat16: Keras writes two bytes, and the type as an attribute.
        dtype = str(dataset.attrs.get("dtype", dataset.dtype.name))
        name = dataset.name.lstrip("/")
        tensors[key] = Tensor(
            name, dataset.shape, dtype, partial(dataset.__getitem__, ())
        )
    axes = {"conv": (3, 2, 0, 1), "linear": (1, 0)}.get(kind)
    if axes and len(tensors["weight"].shape) == len(axes):
        tensors["weight"] = tensors["weight"].transpose(*axes)
    return FileLayer(kind, tensors)


def _get(group, path):
    """The group or data set at `path`, which must be in the file itself."""
    import h5py

    item = group
    for part in path.split("/"):
        # A link or a data set can also point into other files on this machine.
        link = item.get(part, getlink=True)
        inside = isinstance(link, h5py.HardLink)
        item = item[part] if inside else None
        if isinstance(item, h5py.Dataset):
            inside = not (item.is_virtual or item.external)
        if not inside:
            raise WeightFileError(
                f"must contain its weights, {path!r} is not in it: save it again"
            )
    return item


def _strings(group, name):
    """An attribute that is a list of names; Keras splits long ones into pieces."""
    pieces = [group.attrs[name]] if name in group.attrs else []
    while f"{name}{len(pieces)}" in group.attrs:
        pieces.append(group.attrs[f"{name}{len(pieces)}"])
    return [s.decode() if isinstance(s, bytes) else s for p in pieces for s in p]


def _some(group):
    return ", ".join(repr(name) for name in list(group)[:3]) or "nothing"


def _number(name):
    """Stem and number of a layer's name: conv2d_10 sorts after conv2d_9 and conv2d."""
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if number.isdecimal() else (name, 0)
