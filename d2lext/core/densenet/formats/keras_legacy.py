"""The layout of Keras 2: a list of layers, each with a list of its weights.

Weights have names, but a model within the model is one layer with all its weights.
"""

import re
from collections.abc import Iterator
from typing import Any

from d2lext.core.densenet.formats.keras_groups import (
    KIND_OF_NDIM,
    REMEDY,
    Found,
    canonical,
    get,
    number,
)
from d2lext.core.densenet.formats.keras_layers import KerasLayer
from d2lext.core.densenet.formats.tensors import WeightFileError, some

_KEYS = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# keras.applications' names, in which the layers of a part are numbered; also Keras' own.
_ORDERED = re.compile(
    r"(?:.*/)?(?:conv(?P<conv>\d+)(?:_block(?P<block>\d+)_(?P<part>\d)|[_/])_?(?:bn|conv)|"
    r"pool(?P<pool>\d+)_(?:bn|conv)|(?P<last>bn)|"
    r"(?:conv2d|batch_normalization|dense)(?:_(?P<number>\d+))?)"
)
# By name alone, in files of Keras 2 without a configuration.
_SUSPECTS = re.compile(r"rescaling|normalization|lambda|tf[._].*|global_max_pooling2d")


def is_listed(group: Any) -> bool:
    """Whether a group lists its layers."""
    return "layer_names" in group.attrs or "layer_names0" in group.attrs


def listed_layers(group: Any) -> Iterator[Found]:
    """The layers of Keras 2 with weights, in the order that an attribute lists.

    A model in the model is one of them, with all its weights, those trained first. Layers
    that a DenseNet lacks have no tensors here.
    """
    for name in _strings(group, "layer_names"):
        stem, listed = number(name)[0], get(group, name)
        parts: dict[str, dict] = {}
        for path in _strings(listed, "weight_names"):
            parent, _, variable = path.rpartition("/")
            variable = variable.partition(":")[0]
            key, part = _KEYS.get(variable), parts.setdefault(parent, {})
            if key is None or _SUSPECTS.fullmatch(stem):
                yield "", KerasLayer(stem, name), {}
                break
            if key in part:
                raise WeightFileError(
                    f"must have one {variable} in the layer {name!r}, got two: {REMEDY}"
                )
            part[key] = get(listed, path)
        else:
            if _SUSPECTS.fullmatch(stem):
                yield "", KerasLayer(stem, name), {}
            elif len(parts) == 1:
                yield "", *_listed_layer(name, *parts.values())
            else:
                yield from _listed_model(name, parts)


def _listed_model(name: str, parts: dict[str, dict]) -> Iterator[Found]:
    if not all(_ORDERED.fullmatch(part) for part in parts):
        raise WeightFileError(
            f"must record the order of the layers in {name!r}, got {some(parts)}: "
            f"{REMEDY}"
        )
    for part in sorted(parts, key=_position):
        yield name, *_listed_layer(part, parts[part])


def _listed_layer(name, datasets):
    weight = datasets.get("weight")
    kind = KIND_OF_NDIM.get(weight.ndim if weight is not None else 0, number(name)[0])
    return KerasLayer(kind, name), canonical(kind, datasets)


def _position(name):
    """Where a layer of keras.applications is in the forward pass."""
    match = _ORDERED.fullmatch(name)
    parts = match.groupdict() if match else {}
    if parts["last"]:
        return [1, 0]
    if parts["pool"]:
        return [0, int(parts["pool"]), 1]  # after the blocks of the same number
    conv, block, part, count = (
        int(parts[key] or 0) for key in ("conv", "block", "part", "number")
    )
    return [0, conv, 0, block, part, count]


def _strings(group, name):
    """An attribute that is a list of names; Keras splits long ones into pieces."""
    pieces = [group.attrs[name]] if name in group.attrs else []
    while f"{name}{len(pieces)}" in group.attrs:
        pieces.append(group.attrs[f"{name}{len(pieces)}"])
    return [s.decode() if isinstance(s, bytes) else s for p in pieces for s in p]
