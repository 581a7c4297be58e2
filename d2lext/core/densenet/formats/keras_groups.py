"""What both layouts of Keras' HDF5 files share: groups of layers, and their data sets."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from d2lext.core.densenet.formats.keras_layers import KerasLayer
from d2lext.core.densenet.formats.tensors import Tensor, WeightFileError

REMEDY = "use the weights of a functional model, such as those of keras.applications"
KIND_OF_NDIM = {4: "conv2d", 2: "dense", 1: "batch_normalization"}

# A layer of a file: the path of the model that contains it, and its tensors.
Found = tuple[str, KerasLayer, dict[str, Tensor]]


def get(group: Any, path: str) -> Any:
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
                f"must contain its weights, got {path!r} outside of it: save it again"
            )
    return item


def is_group(item: Any) -> bool:
    """Whether an item of a file is a group."""
    import h5py

    return isinstance(item, h5py.Group)


def number(name: str) -> tuple[str, int]:
    """Stem and number of a layer's name: conv2d_10 sorts after conv2d_9 and conv2d."""
    stem, _, digits = name.rpartition("_")
    return (stem, int(digits)) if digits.isdecimal() else (name, 0)


def canonical(kind: str, datasets: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors from data sets in Keras' layouts (h, w, in, out) and (in, out)."""
    tensors = {}
    for key, dataset in datasets.items():
        # HDF5 has no bfloat16: Keras writes two bytes, and the type as an attribute.
        dtype = str(dataset.attrs.get("dtype", dataset.dtype.name))
        name = dataset.name.lstrip("/")
        tensors[key] = Tensor(
            name, dataset.shape, dtype, partial(dataset.__getitem__, ())
        )
    axes = {"conv2d": (3, 2, 0, 1), "dense": (1, 0)}.get(kind)
    if axes and "weight" in tensors and len(tensors["weight"].shape) == len(axes):
        tensors["weight"] = tensors["weight"].transpose(*axes)
    return tensors
