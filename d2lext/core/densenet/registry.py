"""The networks that have a name: what `create_model` builds.

Their numbers stand in the chapter on the family, which exports them to `family.py`.
"""

import difflib
from dataclasses import fields

from d2lext.core.densenet import initializers
from d2lext.core.densenet.architecture import Architecture
from d2lext.core.densenet.family import VARIANTS

# Where a variant says nothing; as in the class that the chapter defines.
_DEFAULTS = {
    "growth_rate": 32,
    "num_channels": 64,
    "bottleneck_size": 4,
    "compression": 0.5,
    "bias": False,
    "num_classes": 1000,
    "in_channels": 3,
    "init": "he",
}
_INITIALIZERS = {
    "he": initializers.he_normal,
    "xavier": initializers.xavier_uniform,
}
_TRAINING = ("dropout", "memory_efficient", "lr", "momentum", "weight_decay")
_OPTIONS = sorted({field.name for field in fields(Architecture)} | {*_TRAINING, "init"})


def list_models(pattern=""):
    """The names that `create_model` knows, those with `pattern` in them."""
    return [name for name in VARIANTS if pattern in name]


def architecture(name, **options):
    """The architecture of the network `name`, some of its options changed."""
    options = _resolved(name, options)
    return Architecture(
        **{
            field.name: options[field.name]
            for field in fields(Architecture)
            if field.name in options
        }
    )


def model_options(name, options):
    """The arguments with which `DenseNetBC` is the network `name`."""
    options = _resolved(name, options)
    return {k: v for k, v in options.items() if k not in ("in_channels", "init")}


def initial_weights(name, seed, options):
    """The weights that the network `name` has in the beginning, by canonical name."""
    conv = _INITIALIZERS[_resolved(name, options)["init"]]
    return initializers.initial_weights(architecture(name, **options), seed, conv)


def _resolved(name, options):
    if name not in VARIANTS:
        close = difflib.get_close_matches(name, VARIANTS) or list(VARIANTS)
        raise ValueError(
            f"there is no model {name!r}: choose one of list_models(), for example "
            f"{', '.join(close[:3])}"
        )
    for option in options:
        if option not in _OPTIONS:
            raise TypeError(
                f"create_model has no option {option!r}: choose from "
                f"{', '.join(_OPTIONS)}, seed"
            )
    resolved = _DEFAULTS | VARIANTS[name] | options
    if resolved["init"] not in _INITIALIZERS:
        raise ValueError(
            f"init must be {' or '.join(map(repr, _INITIALIZERS))}, got "
            f"{resolved['init']!r}"
        )
    return resolved
