"""The layers that a DenseNet's options give, with the names and shapes of their weights.

Names and layouts are torchvision's, in which weights are exchanged between frameworks:
convolutions (out, in, height, width), linear layers (out, in).
"""

import functools
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from d2lext.core.checks import (
    check_choice,
    check_dropout,
    check_positive,
    check_share,
)
from d2lext.core.densenet.family import VARIANTS
from d2lext.core.hyperparameters import plain

# What every DenseNet of this library has; the rest has defaults.
_ESSENTIAL = ("arch", "growth_rate", "num_channels", "num_classes")


@dataclass(frozen=True)
class Layer:
    """A layer with weights. `kind` is conv, norm or linear; `shape` is its weight's."""

    name: str
    kind: str
    shape: tuple[int, ...]
    bias: bool

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The names and shapes of the layer's tensors, running statistics included."""
        shapes = {"weight": self.shape}
        if self.bias:
            shapes["bias"] = self.shape[:1]
        if self.kind == "norm":
            shapes |= {"running_mean": self.shape, "running_var": self.shape}
        return {f"{self.name}.{key}": shape for key, shape in shapes.items()}


@dataclass(frozen=True)
class Architecture:
    """The options that determine a DenseNet's weights (Huang et al., 2017, Sections 3, 4).

    The defaults are those of the ImageNet networks, and of `DenseNetBC`. `small_images`
    selects the stem of the CIFAR networks.
    """

    arch: tuple[int, ...]
    growth_rate: int = 32
    num_channels: int = 64
    bottleneck_size: int | None = 4
    compression: float = 0.5
    small_images: bool = False
    bias: bool = False
    num_classes: int = 1000
    in_channels: int = 3

    def __post_init__(self) -> None:
        for field in fields(self):  # as Python's numbers, of which JSON can be made
            object.__setattr__(self, field.name, plain(getattr(self, field.name)))
        check_positive(
            arch=self.arch,
            growth_rate=self.growth_rate,
            num_channels=self.num_channels,
            num_classes=self.num_classes,
            in_channels=self.in_channels,
        )
        if self.bottleneck_size is not None:
            check_positive(bottleneck_size=self.bottleneck_size)
        check_share(compression=self.compression)
        check_choice((False, True), small_images=self.small_images, bias=self.bias)
        object.__setattr__(self, "arch", tuple(self.arch))
        empty = next((layer.name for layer in self.layers() if 0 in layer.shape), None)
        if empty:
            raise ValueError(
                "compression must leave at least one channel, got "
                f"{self.compression}, which leaves none to {empty}: choose a larger one"
            )

    @classmethod
    def describes(cls, model: Any) -> bool:
        """Whether a model has a DenseNet's hyperparameters, even if some are wrong."""
        return all(hasattr(model, name) for name in _ESSENTIAL)

    @classmethod
    def of(cls, model: Any, in_channels: int = 1) -> "Architecture":
        """The architecture that a model's hyperparameters describe.

        What the first chapter's `DenseNet` lacks comes from its entry in VARIANTS. Raises
        ValueError for values that no DenseNet can have, including those that affect no
        weights, and TypeError for other kinds of models.
        """
        for name in _ESSENTIAL:
            if not hasattr(model, name):
                remedy = "build one with create_model, DenseNet or DenseNetBC, or save "
                remedy += "other networks as their framework does"
                # As DataParallel does, and averages of weights.
                if hasattr(getattr(model, "module", None), name):
                    remedy = "pass the model that it wraps, its attribute `module`"
                raise TypeError(
                    f"{type(model).__name__} is not a DenseNet of this library (it has "
                    f"no {name}): {remedy}"
                )
        check_dropout(plain(getattr(model, "dropout", 0)))
        memory_efficient = plain(getattr(model, "memory_efficient", False))
        check_choice((False, True), memory_efficient=memory_efficient)
        first = cls._first()
        options = {
            field.name: getattr(model, field.name, getattr(first, field.name))
            for field in fields(cls)
        }
        return cls(**options | {"in_channels": in_channels})

    @classmethod
    @functools.cache  # each model is checked when it is made, in JAX each copy, too
    def _first(cls) -> "Architecture":
        """The first chapter's."""
        return cls.from_options(VARIANTS["densenet_d2l"])

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> "Architecture":
        """The architecture with `options`; those that affect no weights are ignored."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: options[name] for name in options if name in names})

    @property
    def min_image_size(self) -> int:
        """The smallest height and width, in pixels, that reach the head."""
        halvings = len(self.arch) - 1
        # A 3x3 pooling at stride 2 maps 2n - 1 pixels to n, and so does the stem.
        return 2**halvings if self.small_images else 2 ** (halvings + 2) - 3

    def layers(self, head: bool = True) -> list[Layer]:
        """The layers with weights in the order of the forward pass, perhaps no `head`."""
        c, k = self.num_channels, self.growth_rate
        size = 3 if self.small_images else 7
        layers = [self._conv("features.conv0", self.in_channels, c, size)]
        if not self.small_images:
            layers.append(_norm("features.norm0", c))
        for i, num_convs in enumerate(self.arch, 1):
            for j in range(1, num_convs + 1):
                name, width = f"features.denseblock{i}.denselayer{j}", c
                layers.append(_norm(f"{name}.norm1", c))
                if self.bottleneck_size:
                    width = self.bottleneck_size * k
                    layers.append(self._conv(f"{name}.conv1", c, width, 1))
                    layers.append(_norm(f"{name}.norm2", width))
                last = "conv2" if self.bottleneck_size else "conv1"
                layers.append(self._conv(f"{name}.{last}", width, k, 3))
                c += k
            if i < len(self.arch):
                name, width = f"features.transition{i}", int(c * self.compression)
                layers.append(_norm(f"{name}.norm", c))
                layers.append(self._conv(f"{name}.conv", c, width, 1))
                c = width
        # torchvision's name for the last norm, however many blocks there are.
        layers.append(_norm("features.norm5", c))
        if head:
            layers.append(Layer("classifier", "linear", (self.num_classes, c), True))
        return layers

    def tensors(self, head: bool = True) -> dict[str, tuple[int, ...]]:
        """The names and shapes of all tensors, in order, perhaps without the head's."""
        return {n: s for layer in self.layers(head) for n, s in layer.tensors().items()}

    @property
    def num_params(self) -> int:
        """The number of trainable parameters."""
        return sum(
            math.prod(shape)
            for name, shape in self.tensors().items()
            if not name.endswith(("running_mean", "running_var"))
        )

    def options(self) -> dict[str, Any]:
        """The options as a dict for JSON."""
        return asdict(self) | {"arch": list(self.arch)}

    def _conv(self, name: str, c_in: int, c_out: int, size: int) -> Layer:
        return Layer(name, "conv", (c_out, c_in, size, size), self.bias)


def has_classifier(layers: Iterable[Layer]) -> bool:
    """Whether the layers are those of a whole network, not of its features alone."""
    return any(layer.kind == "linear" for layer in layers)


def _norm(name: str, c: int) -> Layer:
    return Layer(name, "norm", (c,), True)
