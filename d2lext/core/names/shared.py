"""The public names that need no framework: every backend's package offers them."""

from d2lext.core.data.augmentation import (
    MixUp,
    RandomErasing,
    RandomFlip,
    RandomShift,
)
from d2lext.core.densenet.architecture import Architecture
from d2lext.core.densenet.registry import architecture, list_models
from d2lext.core.hyperparameters import HyperParameters, add_to_class
from d2lext.core.plotting import (
    ProgressBoard,
    plot,
    set_axes,
    set_figsize,
    show_images,
    use_svg_display,
)
from d2lext.core.timing import Timer
from d2lext.core.training.records import recorded
from d2lext.core.training.schedules import (
    CosineSchedule,
    OneCycleSchedule,
    StepSchedule,
)

__all__ = [
    "Architecture",
    "CosineSchedule",
    "HyperParameters",
    "MixUp",
    "OneCycleSchedule",
    "ProgressBoard",
    "RandomErasing",
    "RandomFlip",
    "RandomShift",
    "StepSchedule",
    "Timer",
    "add_to_class",
    "architecture",
    "list_models",
    "plot",
    "recorded",
    "set_axes",
    "set_figsize",
    "show_images",
    "use_svg_display",
]
