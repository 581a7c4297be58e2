"""Keras's three kinds of files: `.weights.h5`, `.keras` and the `.h5` of Keras 2.

All are HDF5, the second within a zip archive. Names of layers differ between them and
between versions, but each gives the order of the layers of a kind: by number in the
first two, by a list in the third. The order is therefore what counts here, and the
shapes then confirm it.
"""

import io
import re
import zipfile
from contextlib import contextmanager
from functools import partial

from d2lext.core.densenet.formats.pytorch import read_member
from d2lext.core.densenet.formats.tensors import (
    FileLayer,
    Tensor,
    WeightFileError,
    by_order,
)

MEMBER = "model.weights.h5"  # of an archive
_REMEDY = "use the weights of a functional model such as keras.applications has"
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


def recognises(head):
    """Whether a file that begins with `head` is HDF5."""
    return head.startswith(b"\x89HDF\r\n\x1a\n")


@contextmanager
def tensors(path, layers):
    """The tensors of the file by canonical names, readable within the block."""
    import h5py

    source = path
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            source = io.BytesIO(read_member(archive, MEMBER))
    with h5py.File(source, "r") as file:
        root = _get(file, "model_weights") if "model_weights" in file else file
        if "layers" in root:
            found = _numbered_layers(_get(root, "layers"))
        elif "layer_names" in root.attrs or "layer_names0" in root.attrs:
            found = _listed_layers(root)
        else:
            raise WeightFileError(
                f"must have the layers of a Keras model, it has {_some(root)}: "
                f"{_REMEDY}"
            )
        yield by_order(found, layers)


def _numbered_layers(group):
    """The layers of Keras 3: `conv2d`, `conv2d_1`, ..., with variables 0, 1, ..."""
    found = []
    for name in sorted(group, key=_number):
        layer = _get(group, name)
        # A layer of dropout has the state of its random numbers, which no net needs.
        if not set(layer) <= {"vars", "seed_generator"}:
            raise WeightFileError(
                f"must have its layers side by side, {name!r} has more within, whose "
                f"order the file does not tell: {_REMEDY}"
            )
        variables = _get(layer, "vars") if "vars" in layer else {}
        if not len(variables):
            continue
        kind, keys = _KINDS.get(re.sub(r"_\d+$", "", name), (None, ()))
        if not set(variables) <= {str(i) for i in range(len(keys))}:
            raise WeightFileError(
                f"has the layer {name!r} with {len(variables)} variables, and a DenseNet "
                f"none like it: {_REMEDY}"
            )
        found.append(
            _layer(kind, {keys[int(i)]: _get(variables, i) for i in variables})
        )
    return found


def _listed_layers(group):
    """The layers of Keras 2, in the order that an attribute lists."""
    found = []
    for name in _strings(group, "layer_names"):
        layer = _get(group, name)
        datasets = {}
        for path in _strings(layer, "weight_names"):
            variable = path.rpartition("/")[2].partition(":")[0]
            key = _LEGACY_KEYS.get(variable)
            if key is None or key in datasets:
                raise WeightFileError(
                    f"has {path!r} in the layer {name!r}, and a DenseNet nothing like "
                    f"it there: {_REMEDY}"
                )
            datasets[key] = _get(layer, path)
        if datasets:
            weight = datasets.get("weight")
            kind = weight is not None and _KIND_OF_NDIM.get(weight.ndim)
            if not kind:
                raise WeightFileError(
                    f"has the layer {name!r}, and a DenseNet none like it: {_REMEDY}"
                )
            found.append(_layer(kind, datasets))
    return found


def _layer(kind, datasets):
    """A layer from datasets in Keras's layouts (h, w, in, out) and (in, out)."""
    tensors = {}
    for key, dataset in datasets.items():
        # HDF5 has no bfloat16: Keras writes two bytes and says so in an attribute.
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
    """The group or data set at `path`, which the file itself must contain."""
    import h5py

    item = group
    for part in path.split("/"):
        # A link or a data set may also point into other files of this machine.
        link = item.get(part, getlink=True)
        inside = isinstance(link, h5py.HardLink)
        item = item[part] if inside else None
        if isinstance(item, h5py.Dataset):
            inside = not (item.is_virtual or item.external)
        if not inside:
            raise WeightFileError(
                f"must contain its weights, {path!r} is not within it: save it again"
            )
    return item


def _strings(group, name):
    """An attribute that is a list of names; Keras cuts long ones into pieces."""
    pieces = [group.attrs[name]] if name in group.attrs else []
    while f"{name}{len(pieces)}" in group.attrs:
        pieces.append(group.attrs[f"{name}{len(pieces)}"])
    return [s.decode() if isinstance(s, bytes) else s for p in pieces for s in p]


def _some(group):
    return ", ".join(repr(name) for name in list(group)[:3]) or "nothing"


def _number(name):
    """What sorts conv2d_10 after conv2d_9, and conv2d before conv2d_1."""
    stem, number = re.fullmatch(r"(.*?)(?:_(\d+))?", name).groups()
    return stem, int(number or 0)
