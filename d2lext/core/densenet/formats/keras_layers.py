"""What the layers of a Keras model do besides holding weights.

A file with the model's configuration tells all; one with weights alone tells classes or
names. A layer that would change the logits is an error that names it.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from d2lext.core.densenet.architecture import Layer, has_classifier
from d2lext.core.densenet.formats.tensors import OWN_HEAD, WeightFileError

# Layers of a DenseNet, and those that change nothing in evaluation.
_KNOWN = re.compile(
    "input_layer|conv2d|batch_normalization|dense|activation|re_lu|softmax|"
    "zero_padding2d|concatenate|max_pooling2d|(global_)?average_pooling2d|flatten|"
    "(spatial_|gaussian_|alpha_)?dropout(2d)?|gaussian_noise|activity_regularization|"
    "random_.*|functional|sequential|model"
)
# In the config of a model of ours: the options of its layers that its constructor has not.
CHANGED = "changed since"
_NO_EFFECT = re.compile(r"momentum|rate|noise_shape|seed|\w+_(regularizer|constraint)")
_LIKE_APPLICATIONS = "use the weights of a network like those of keras.applications"


@dataclass(frozen=True)
class KerasLayer:
    """A layer: its class in snake case, its name, and as far as known its options.

    `stage` is "input" before the first convolution, then "features", then "head".
    """

    kind: str
    name: str
    stage: str = "features"
    options: dict[str, Any] = field(default_factory=dict)


def from_config(model: dict[str, Any]) -> list[KerasLayer]:
    """The layers of a model's configuration in order, those of models in it included.

    Empty if the configuration does not list them: that of a subclass of keras.Model.
    """
    layers = list(_layers(model))
    convs = [i for i, layer in enumerate(layers) if layer.kind == "conv2d"]
    if not convs:
        return []
    return [
        replace(
            layer,
            stage="input" if i < convs[0] else "features" if i <= convs[-1] else "head",
        )
        for i, layer in enumerate(layers)
    ]


def preprocessing(layers: Sequence[KerasLayer]) -> str | None:
    """What the model does to images before its first convolution, if anything."""
    formulas = []
    for layer in layers:
        is_known = _KNOWN.fullmatch(layer.kind) and layer.kind != "batch_normalization"
        in_front = layer.stage == "input" and not is_known
        if (in_front or _is_in_front(layer)) and not _is_identity(layer):
            formulas.append(f"{_formula(layer)} (layer {layer.name!r})")
    return ", then with that as X ".join(formulas) or None


def check(layers: Sequence[KerasLayer], network: Sequence[Layer]) -> None:
    """Raise WeightFileError for a layer that makes the logits differ from the network's.

    Layers of the head count only if the `network` has one.
    """
    with_head = has_classifier(network)
    stages = ("features", "head") if with_head else ("features",)
    for layer in layers:
        stage = "head" if layer.kind.startswith("global_") else layer.stage
        if stage not in stages or _is_in_front(layer):
            continue
        activation = layer.options.get("activation", "relu")
        is_other = (layer.kind, stage) == ("activation", "features")
        is_other = is_other and activation != "relu"
        if is_other or not _KNOWN.fullmatch(layer.kind):
            what = f"{layer.name!r} ({activation if is_other else layer.kind})"
            remedy = "use the weights of another network"
            raise WeightFileError(
                f"must have the layers of a DenseNet, got {what}, which changes the "
                f"logits: {OWN_HEAD if stage == 'head' else remedy}"
            )
    _check_windows(layers, [layer.name for layer in network])


def _check_windows(layers, names):
    """Raise WeightFileError unless the model pools and pads as the network does."""
    kinds = [layer.kind for layer in layers if layer.stage == "features"]
    if "concatenate" not in kinds:  # layers without weights are not in every file
        return
    stem = names.count("features.norm0")
    transitions = sum("transition" in name for name in names) // 2  # of two layers
    pools = kinds.count("max_pooling2d"), kinds.count("average_pooling2d")
    if pools != (stem, transitions):
        raise WeightFileError(
            f"must have {stem} MaxPooling2D and {transitions} AveragePooling2D "
            f"among its features, got {pools[0]} and {pools[1]}: {_LIKE_APPLICATIONS}"
        )
    paddings = sum(layer.kind == "zero_padding2d" for layer in layers)
    if paddings < 2 * stem:
        raise WeightFileError(
            f"must pad before its first convolution and before its first pooling, got "
            f"{paddings} ZeroPadding2D (padding='same' adds more on one side): "
            f"{_LIKE_APPLICATIONS}"
        )


def check_changes(config: Any) -> None:
    """Raise WeightFileError for a changed option of a layer that changes the logits.

    `config` is that of a model of this library, perhaps within others.
    """
    parts = config.values() if isinstance(config, dict) else config
    for part in parts if isinstance(config, dict | list) else ():
        check_changes(part)
    changed = config.get(CHANGED, {}) if isinstance(config, dict) else {}
    for place, options in changed.items():
        if names := [name for name in options if not _NO_EFFECT.fullmatch(name)]:
            raise WeightFileError(
                "must be of a DenseNet as its constructor makes it, got another "
                f"{' and '.join(names)} of the layer {place}: load it with "
                "keras.saving.load_model, and use save_weights"
            )


def epsilons(layers: Sequence[KerasLayer], default: float) -> Iterator[float]:
    """What each normalization adds to the variance, in order, then the default."""
    for layer in layers:
        if layer.kind == "batch_normalization" and layer.stage != "input":
            yield float(layer.options.get("epsilon", default))
    yield from itertools.repeat(default)


def _layers(model):
    options = model["config"]
    layers = options if isinstance(options, list) else options.get("layers")
    if layers is None:
        kind = _snake_case(model["class_name"])
        yield KerasLayer(kind, str(options.get("name", kind)), options=options)
    else:
        for layer in layers:
            yield from _layers(layer)


def _is_in_front(layer):
    return layer.kind in ("rescaling", "normalization")


def _is_identity(layer):
    scale, offset = (layer.options.get(name) for name in ("scale", "offset"))
    return layer.kind == "rescaling" and scale == 1 and offset == 0


def _formula(layer):
    """What a layer in front computes, in terms of the image X."""
    options = layer.options
    if layer.kind == "rescaling":
        return (
            f"{options.get('scale', 'scale')} * X + {options.get('offset', 'offset')}"
        )
    if layer.kind == "normalization":
        mean, variance = (options.get(name) for name in ("mean", "variance"))
        return (
            f"(X - {'mean' if mean is None else mean}) / "
            f"sqrt({'variance' if variance is None else variance})"
        )
    return f"{layer.kind}(X)"


def _snake_case(name):
    """A class name as Keras writes it in files: GlobalMaxPooling2D, max_pooling2d."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
