"""Keras' three kinds of files: `.weights.h5`, `.keras` and the `.h5` of Keras 2.

All are HDF5, the second in a zip archive. The names of layers differ between kinds and
between versions, but all record the order of the layers of a kind: by number in the
first two, by a list in the third. So we match layers by order, and their shapes confirm
the match. keras_layers.py says which models have the logits of a DenseNet.
"""

import io
import json
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from d2lext.core.densenet.architecture import Layer, has_classifier
from d2lext.core.densenet.formats import keras_layers
from d2lext.core.densenet.formats.archive import read_member
from d2lext.core.densenet.formats.keras_groups import (
    KIND_OF_NDIM,
    REMEDY,
    Found,
    canonical,
    get,
    is_group,
    number,
)
from d2lext.core.densenet.formats.keras_layers import KerasLayer
from d2lext.core.densenet.formats.keras_legacy import is_listed, listed_layers
from d2lext.core.densenet.formats.order import FileLayer, by_order
from d2lext.core.densenet.formats.tensors import (
    EPSILON,
    FLOATS,
    Tensor,
    WeightFileError,
    some,
)

MEMBER = "model.weights.h5"  # of the archive
# Groups whose members are layers, called by their class and counted. The second is the
# name in TensorFlow 2.12 and 2.13, the third an attribute of our dense blocks.
_LISTS = ("layers", "_layer_checkpoint_dependencies", "blocks")
_NO_LAYERS = ("vars", "seed_generator", "optimizer")  # what else a model stores
_KINDS = {
    "conv2d": ("conv", ("weight", "bias")),
    "batch_normalization": ("norm", ("weight", "bias", "running_mean", "running_var")),
    "dense": ("linear", ("weight", "bias")),
}
# What keras.applications adds to a variance; a file of weights does not say it.
_EPSILON = 1.001e-5


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is HDF5."""
    return head.startswith(b"\x89HDF\r\n\x1a\n")


@contextmanager
def tensors(path: Path, layers: Sequence[Layer]) -> Iterator[dict[str, Tensor]]:
    """The tensors of the file by canonical names, readable within the block.

    The variances are those with which this library's epsilon gives the file's
    normalizations.
    """
    with _open(path) as (root, config):
        found, described = _contents(root, config)
        is_ours = any(layer.kind.startswith("dense_block") for layer in described)
        if is_ours:
            keras_layers.check_changes(config)
        else:
            keras_layers.check(described, layers)
        file_layers = _in_one_model(found, is_ours)
        default = EPSILON if is_ours else _EPSILON
        epsilons = keras_layers.epsilons(described, default)
        norms = (layer for layer in file_layers if layer.kind == "norm")
        for norm, epsilon in zip(norms, epsilons, strict=False):
            if variance := norm.tensors.get("running_var"):
                norm.tensors["running_var"] = variance.plus(epsilon - EPSILON)
        if is_ours and not has_classifier(layers):
            _warn_of_others(found)
        yield by_order(file_layers, layers)


def preprocessing(path: Path) -> str | None:
    """What the file's model does to images before its first convolution, if anything."""
    with _open(path) as (root, config):
        return keras_layers.preprocessing(_contents(root, config)[1])


@contextmanager
def _open(path):
    """The group with the layers, and the configuration of the model or None."""
    import h5py

    source: Path | io.BytesIO = path
    config: Any = None
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            source = io.BytesIO(read_member(archive, MEMBER))
            if "config.json" in archive.namelist():
                config = read_member(archive, "config.json")
    with h5py.File(source, "r") as file:
        config = config or file.attrs.get("model_config")
        root = get(file, "model_weights") if "model_weights" in file else file
        yield root, json.loads(config) if config else None


def _contents(root, config):
    """The layers with tensors, and all layers with what they do."""
    listed = is_listed(root)
    found = list(listed_layers(root) if listed else _numbered_layers(root, "", set()))
    models = {model for model, layer, _ in found if layer.kind == "conv2d"}
    named = [
        layer if model in models else replace(layer, stage=_stage(tensors))
        for model, layer, tensors in found
    ]
    if listed:  # only by name, which anyone may have chosen
        named = [x for x in named if x.kind not in _KINDS or x.stage == "input"]
    found_ = [layer for layer in found if layer[2]]
    if not found_:
        raise WeightFileError(
            f"must have the layers of a Keras model, got {some(root)}: {REMEDY}"
        )
    described = keras_layers.from_config(config) if config else []
    learned = {layer.name: layer.options for layer in named if layer.options}
    return found_, [
        replace(layer, options=layer.options | learned.get(layer.name, {}))
        for layer in described or named
    ]


def _stage(tensors):
    """The stage of a layer outside the model with the convolutions."""
    # Images have few channels, features many.
    mean = tensors.get("running_mean")
    return "input" if mean and mean.shape and mean.shape[0] <= 4 else "head"


def _in_one_model(found: Sequence[Found], is_ours: bool) -> list[FileLayer]:
    """The layers of the model that has the convolutions, then those of its head."""
    models = {model for model, layer, _ in found if layer.kind == "conv2d"}
    if len(models) > 1 and not is_ours:
        raise WeightFileError(
            "must have its convolutions side by side, got some in "
            f"{some(sorted(models))}, whose order the file does not record: {REMEDY}"
        )
    found = sorted(found, key=lambda layer: not is_ours and layer[0] not in models)
    return [
        FileLayer(_KINDS.get(layer.kind, ("other",))[0], dict(tensors))
        for _, layer, tensors in found
        if is_ours or layer.kind in _KINDS  # of others' layers, `check` knows more
    ]


def _warn_of_others(found: Sequence[Found]) -> None:
    """Warn of tensors of our networks that may be in the features or in the head."""
    names = [
        tensor.name
        for model, layer, tensors in found
        if layer.kind not in _KINDS and "dense_block" not in model
        for tensor in tensors.values()
    ]
    if names:
        warnings.warn(
            f"the file has {some(names)}, not loaded: see whether these are of the head, "
            "or of features that differ",
            stacklevel=2,
        )


def _numbered_layers(group: Any, model: str, seen: set) -> Iterator[Found]:
    """The layers of Keras 3: `conv2d`, `conv2d_1`, ..., with variables 0, 1, ..."""
    in_list = model.rpartition("/")[2] in _LISTS
    for name in sorted(group, key=partial(_place, list(group))):
        part = get(group, name)
        if name in _NO_LAYERS or part in seen or not is_group(part):
            continue
        seen.add(part)  # groups may contain each other
        variables = get(part, "vars") if "vars" in part else {}
        values = {i: get(variables, i) for i in sorted(variables, key=number)}
        if in_list or values:
            kind = number(name)[0]
            if not in_list and "0" in values:  # an attribute has any name
                kind = KIND_OF_NDIM.get(values["0"].ndim, kind)
            own_name = str(getattr(variables, "attrs", {}).get("name", name))
            statistics = _statistics(kind, values)
            layer = KerasLayer(kind, own_name, options=statistics)
            yield model, layer, _tensors(layer, values)
        path = f"{model}/{name}" if model else name
        yield from _numbered_layers(part, path, seen)
    if not model and "vars" in group and len(own := get(group, "vars")):
        layer = KerasLayer("model_variable", "vars")
        yield model, layer, _tensors(layer, {i: get(own, i) for i in own})


def _statistics(kind, values):
    """What a Normalization layer has learned, a number for each channel of an image."""
    if kind != "normalization" or any(value.size > 16 for value in values.values()):
        return {}
    names = zip(("mean", "variance"), values.values(), strict=False)
    return {name: value[()].ravel().tolist() for name, value in names}


def _tensors(layer, values):
    """A layer's tensors from its numbered variables."""
    keys = _KINDS[layer.kind][1] if layer.kind in _KINDS else ()
    if keys and not set(values) <= {str(i) for i in range(len(keys))}:
        raise WeightFileError(
            f"must have the variables of a DenseNet, got {len(values)} in the layer "
            f"{layer.name!r}: {REMEDY}"
        )
    datasets = {keys[int(i)] if keys else i: values[i] for i in values}
    tensors = canonical(layer.kind, datasets)
    # Other layers have seeds and counters, too.
    return {k: t for k, t in tensors.items() if keys or t.dtype in FLOATS}


def _place(names, name):
    """A key that sorts the layers of a list, those of our networks in forward order."""
    stem, count = number(name)
    if not any(other.startswith("dense_block") for other in names):
        return 0, stem, count
    if stem.startswith(("dense_block", "transition_block")):
        return 2 * count + stem.startswith("transition_block"), stem, count
    # Of the normalizations, only that of a stem with pooling comes before the blocks.
    in_stem = "max_pooling2d" in names and count == 0
    is_first = stem == "conv2d" or stem == "batch_normalization" and in_stem
    return -1 if is_first else len(names), stem, count
