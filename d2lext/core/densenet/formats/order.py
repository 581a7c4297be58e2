"""Finds a DenseNet's tensors by the order of a file's layers.

The layers of a kind, conv, norm or linear, are in the order of the forward pass where
names do not say which layer is which; shapes confirm the match.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from d2lext.core.densenet.architecture import Layer, has_classifier
from d2lext.core.densenet.formats.tensors import OWN_HEAD, Tensor, WeightFileError, some

# How this library's own models name their layers in PyTorch and MXNet (`net.4.blocks.0.2`)
# and in Flax (`params.net.layers_4.blocks_0.NormReluConv_0.Conv_0`).
OWN_PLACE = r"net\.(?:layers_)?\d+(?:\.(?:\w+_)?\d+|\.blocks|\.net)*"


# The same in a file of `model.net` alone.
_IN_NET = re.compile(r"(^|\.)(?=(?:layers_)?\d+\.)")


def in_model(names: Iterable[str]) -> list[str]:
    """Names in a file of `model.net` alone as the whole model has them: `net.4.weight`.

    Those without statistics, which are of no DenseNet, stay as they are.
    """
    names = list(names)
    if not any(name.endswith((".running_mean", ".mean")) for name in names):
        return names
    return [_IN_NET.sub(r"\1net.", name, count=1) for name in names]


@dataclass(frozen=True)
class FileLayer:
    """A layer in a file: its kind, and its tensors by weight, bias, running_...

    The kind is conv, norm, linear, or other.
    """

    kind: str
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> "FileLayer":
        """The layer with these tensors, which tell its kind."""
        if "running_mean" in tensors:
            return cls("norm", tensors)
        ndim = len(tensors["weight"].shape) if "weight" in tensors else 0
        return cls({4: "conv", 2: "linear"}.get(ndim, "other"), tensors)


def numbers(place: str) -> list[int]:
    """A key that sorts `net.4.blocks.10` after `net.4.blocks.9`."""
    return [int(number) for number in re.findall(r"\d+", place)]


def in_places(named: Mapping[tuple[str, str], Tensor]) -> list[FileLayer]:
    """The layers of tensors by place and key, in the order of the numbers in places."""
    places: dict[str, dict[str, Tensor]] = {}
    for (place, key), tensor in named.items():
        places.setdefault(place, {})[key] = tensor
    return [FileLayer.of(places[place]) for place in sorted(places, key=numbers)]


def by_order(
    file_layers: Sequence[FileLayer], layers: Sequence[Layer]
) -> dict[str, Tensor]:
    """Tensors by canonical names, from the layers of a file in forward order.

    The i-th layer of a kind in the file is the i-th of that kind in the network. Where
    `layers` has no classifier, what the file has after the last features is ignored.
    Raises WeightFileError for a layer that no DenseNet has.
    """
    tensors: dict[str, Tensor] = {}
    with_head = has_classifier(layers)
    kinds = [layer.kind for layer in file_layers]
    if not with_head and "norm" in kinds:
        # Those of the features end with a normalization.
        count = sum(layer.kind == "norm" for layer in layers)
        norms = [i for i, kind in enumerate(kinds) if kind == "norm"]
        kinds = kinds[: norms[:count][-1]]
    if "other" in kinds:
        others = file_layers[kinds.index("other")].tensors.values()
        raise WeightFileError(
            f"must have the layers of a DenseNet alone, got {some(t.name for t in others)} "
            "as well: build the network that was saved, and load it as its framework does"
        )
    for kind in ("conv", "norm", "linear"):
        sources = [layer.tensors for layer in file_layers if layer.kind == kind]
        names = [layer.name for layer in layers if layer.kind == kind]
        if not with_head:
            sources = sources[: len(names)]
        if len(sources) != len(names):
            remedy = "build the network that was saved"
            if kind == "linear" or (kind == "norm" and len(sources) > len(names)):
                remedy += f"; {OWN_HEAD}"
            found = some(t.name for source in sources for t in source.values())
            found = f" ({found})" if sources else ""
            raise WeightFileError(
                f"must fit the network: the file has {len(sources)} {kind} "
                f"layers{found}, the network {len(names)}: {remedy}"
            )
        for name, source in zip(names, sources, strict=True):
            tensors |= {f"{name}.{key}": tensor for key, tensor in source.items()}
    return tensors
