"""Finds a DenseNet's tensors by the names that PyTorch code gives them.

The layers of the features have torchvision's names, whatever precedes them: the path
through a checkpoint, wrappers such as DataParallel, the attribute of a larger model. The
classifier may be called anything.
"""

import os
import re
import warnings
from collections.abc import Iterable, Sequence

from d2lext.core.densenet.architecture import Layer, has_classifier
from d2lext.core.densenet.formats.order import (
    OWN_PLACE,
    by_order,
    in_model,
    in_places,
)
from d2lext.core.densenet.formats.tensors import FLOATS, Tensor, WeightFileError, some

_KEYS = ("weight", "bias", "running_mean", "running_var")
_STEM = "features.conv0.weight"
_LAST = r"norm(?:[1-9]|_final)"
_FEATURE = re.compile(
    r"(?P<prefix>(?:.*?\.)??)"  # as short as possible
    r"(?P<layer>conv0|norm0|denseblock\d+\.denselayer\d+\.(?:norm|conv)[12]|"
    rf"transition\d+\.(?:norm|conv)|{_LAST})"
    rf"\.(?P<key>{'|'.join(_KEYS)})"
)
_OWN = re.compile(rf"(?P<prefix>(?:.*?\.)??)(?P<place>{OWN_PLACE})\.(?P<key>\w+)")
# Parts of names that wrappers add anywhere: DataParallel, torch.compile, sharding,
# checkpointing, a pickled module, MONAI's layers.
_WRAPPER = re.compile(
    r"(?:^|(?<=\.))(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|"
    r"_modules|_parameters|_buffers|layers)\."
)
_NO_WEIGHTS = ("num_batches_tracked", "_extra_state")
# Parts of names of what a training keeps beside the weights.
_TRAINING = re.compile(
    r"(?:^|[._])(?:optim\w*|\w*optimizers?|sched\w*|lr_sched\w*|\w*scaler|rng\w*|loss\w*|"
    r"criterion|metrics?|callbacks?|hist\w*|ema|shadow\w*|best\w*|epochs?|steps?|acc\w*|"
    r"score|lr|exp_avg\w*|momentum\w*)(?:[._\d]|$)",
    re.IGNORECASE,
)
# Where a file has several networks, the one that was trained comes before averages of it.
_PREFERRED = ("", "state_dict", "model_state_dict", "model", "net", "network", "params")
_REMEDY = "rename its tensors as those of get_weights(model), and use set_weights"


def by_name(tensors: Iterable[Tensor], layers: Sequence[Layer]) -> dict[str, Tensor]:
    """Tensors by canonical names, from torchvision's names or those of our models.

    Counters and the state of a training are dropped, and names in checkpoints of 2017
    (`norm.1.weight`) become today's (`norm1.weight`). Where `layers` has no classifier,
    neither has the result. Warns of other tensors beside the network's.
    """
    features: dict[str, dict[str, Tensor]] = {}  # by what precedes their names
    own: dict[str, dict[tuple[str, str], Tensor]] = {}
    rest: dict[str, Tensor] = {}
    tensors = [t for t in tensors if not t.name.endswith(_NO_WEIGHTS)]
    names = [_clean(tensor.name) for tensor in tensors]
    if not any(_FEATURE.fullmatch(name) or _OWN.fullmatch(name) for name in names):
        names = in_model(names)
    for name, tensor in zip(names, tensors, strict=True):
        if feature := _FEATURE.fullmatch(name):
            _add(features, feature, tensor)
        elif ours := _OWN.fullmatch(name):
            network = own.setdefault(ours["prefix"], {})
            network[ours["place"], ours["key"]] = tensor
        elif not _is_inert(name, tensor):
            rest[name] = tensor
    whole = [prefix for prefix, group in features.items() if _STEM in group]
    if own and not whole:
        return _own(own, rest, layers)
    if not features:
        raise WeightFileError(
            f"must have the layers of a DenseNet, such as {_STEM!r}, got "
            f"{some(tensor.name for tensor in rest.values())}: {_REMEDY}"
        )
    prefix = one(whole or list(features))
    # A small head, such as `net.0`, looks like a model of ours.
    for start, network in own.items():
        rest |= {f"{start}{place}.{key}": t for (place, key), t in network.items()}
    near = _head(rest, prefix, layers)
    _warn_of_others(rest, near, prefix, [*features, *own], layers)
    return features[prefix] | near


def one(prefixes: Sequence[str]) -> str:
    """The network to read where a file has several, which a warning says.

    `prefixes` are what precedes the names of each. Raises WeightFileError unless one is
    known to be what was trained.
    """
    if len(prefixes) == 1:
        return prefixes[0]
    paths = [prefix.split(".")[:-1] for prefix in prefixes]
    common = _common(*paths)
    rank = {
        prefix: _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED)
        for prefix, path in zip(prefixes, paths, strict=True)
        for name in [path[common] if len(path) > common else ""]
    }
    first, second, *_ = sorted(prefixes, key=rank.__getitem__)
    names = " and ".join(repr(prefix.rstrip(".")) for prefix in prefixes)
    if rank[first] == rank[second]:
        raise WeightFileError(
            f"must hold the weights of one network, got those of {len(prefixes)}, "
            f"{names}: save the tensors of one in a file of their own"
        )
    warnings.warn(
        f"the file holds the weights of {len(prefixes)} networks, {names}: took "
        f"{first.rstrip('.')!r}; save another one in a file of its own to load it",
        stacklevel=2,
    )
    return first


def _clean(name):
    """A name without what wrappers add, and as later versions spell it."""
    name = _WRAPPER.sub("", name)
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name)


def _add(features, match, tensor):
    """Add a tensor of the features to those with the same prefix."""
    prefix, layer, key = match.groups()
    prefix = re.sub(r"(^|\.)features\.$", r"\1", prefix)
    if re.fullmatch(_LAST, layer):
        layer = "norm5"  # torchvision's name for it, however many blocks there are
    group, name = features.setdefault(prefix, {}), f"features.{layer}.{key}"
    if name in group:
        raise WeightFileError(
            f"must have {name} once, got {group[name].name!r} and {tensor.name!r}: save "
            "it again with one of them"
        )
    group[name] = tensor


def _own(own, rest, layers):
    """The tensors of one of our models, and what is beside them in the same model."""
    prefix = one(list(own))
    network = own[prefix]
    near = {name: tensor for name, tensor in rest.items() if name.startswith(prefix)}
    for name, tensor in near.items():
        if name.startswith(f"{prefix}net."):  # between the layers
            place, _, key = name.rpartition(".")
            network[place.removeprefix(prefix), key] = tensor
    tensors = by_order(in_places(network), layers)
    if has_classifier(layers):
        tensors |= near
    _warn_of_others(rest, near, prefix, list(own), layers)
    return tensors


def _is_inert(name, tensor):
    """Whether a tensor beside a network's cannot change what the network computes."""
    return tensor.dtype not in FLOATS or bool(_TRAINING.search(name))


def _warn_of_others(rest, taken, prefix, networks, layers):
    """Warn of tensors that are in no network of the file, unless only features count."""
    elsewhere = tuple(p for p in networks if p and not prefix.startswith(p))
    used = {id(tensor) for tensor in taken.values()}
    others = [
        tensor.name
        for name, tensor in rest.items()
        if id(tensor) not in used and not name.startswith(elsewhere)
    ]
    if others and has_classifier(layers):
        warnings.warn(
            f"the file has {some(others)} beside the network {prefix.rstrip('.')!r}, not "
            "loaded: see whether its predictions need them",
            stacklevel=2,
        )


def _head(rest, prefix, layers):
    """The classifier among the tensors that are not features, and what is beside it."""
    inside = rf"{re.escape(prefix)}features\.|.*\b(denseblock|denselayer|transition)\d"
    depth = {  # not of an optimizer's state, for one
        name: _common(name.split("."), prefix.split("."))
        for name in rest
        if name.rpartition(".")[2] in _KEYS
    }
    near = {
        name: tensor
        for name, tensor in rest.items()
        if depth.get(name, -1) == max(depth.values(), default=0)
        or name.startswith(prefix)
        or re.match(inside, name)
    }
    if not has_classifier(layers):
        return {name: t for name, t in near.items() if re.match(inside, name)}
    parents = {name.rpartition(".")[0] for name in near}
    named = {parent for parent in parents if parent == f"{prefix}classifier"}
    for parent in named or (parents if len(parents) == 1 else ()):
        for key in "weight", "bias":
            if f"{parent}.{key}" in near:
                near[f"classifier.{key}"] = near.pop(f"{parent}.{key}")
    return near


def _common(*paths):
    """How many parts paths share at their beginning."""
    return len(os.path.commonprefix(paths))  # of any sequences
