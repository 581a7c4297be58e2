"""The named networks that `create_model` builds.

Their parameters are in the chapter on the family, which exports them to `family.py`.
"""

import difflib
from dataclasses import fields
from typing import Any

import numpy as np

from d2lext.core.checks import check_choice, check_seed
from d2lext.core.densenet import initializers
from d2lext.core.densenet.architecture import Architecture
from d2lext.core.densenet.family import VARIANTS
from d2lext.core.hyperparameters import LATER, plain

_INITIALIZERS = {
    "he": initializers.he_normal,
    "xavier": initializers.xavier_uniform,
}
_TRAINING = ("dropout", "memory_efficient", "lr", "momentum", "weight_decay")
_OPTIONS = sorted(
    {field.name for field in fields(Architecture)} | {*_TRAINING, *LATER, "init"}
)


def list_models(pattern: str = "") -> list[str]:
    """The names that `create_model` knows, limited to those that contain `pattern`."""
    return [name for name in VARIANTS if pattern in name]


def architecture(name: str, **options: Any) -> Architecture:
    """The architecture of the network `name`, with some options changed."""
    return Architecture.from_options(_resolved(name, options))


def model_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The arguments that make `DenseNetBC` the network `name`."""
    options, others = _resolved(name, options), ("in_channels", "init", *LATER)
    return {option: v for option, v in options.items() if option not in others}


def set_later(model: Any, options: dict[str, Any]) -> None:
    """Give a model those of the `options` that are no arguments of `DenseNetBC`."""
    for option in LATER:
        if option in options:
            setattr(model, option, plain(options[option]))


def initial_weights(
    name: str, seed: int, options: dict[str, Any]
) -> dict[str, np.ndarray]:
    """The initial weights of the network `name`, by canonical name."""
    check_seed(seed)
    conv = _INITIALIZERS[_resolved(name, options)["init"]]
    return initializers.initial_weights(architecture(name, **options), seed, conv)


def _resolved(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The differences from the defaults of `Architecture`, and the initializer's name."""
    if name not in list(VARIANTS):
        close = difflib.get_close_matches(str(name), VARIANTS) or list(VARIANTS)
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
    resolved = {"init": "he"} | VARIANTS[name] | options
    if isinstance(resolved["arch"], np.ndarray):
        resolved["arch"] = resolved["arch"].tolist()
    if isinstance(resolved["arch"], list):  # the caller's, who may change it
        resolved["arch"] = tuple(resolved["arch"])
    check_choice(tuple(_INITIALIZERS), init=resolved["init"])
    return {option: plain(value) for option, value in resolved.items()}
