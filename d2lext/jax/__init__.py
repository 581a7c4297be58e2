"""d2l for JAX: `from d2lext import jax as d2l`. Images are (n, h, w, c)."""

from d2lext.jax import loading  # noqa: F401  first, for its errors

# isort: split
from d2lext.core.checks import check_positive
from d2lext.core.densenet.architecture import Architecture
from d2lext.core.densenet.registry import architecture, list_models
from d2lext.core.hyperparameters import HyperParameters, add_to_class
from d2lext.core.names.exports import EXPORTED, lookup
from d2lext.core.plotting import (
    ProgressBoard,
    plot,
    set_axes,
    set_figsize,
    show_images,
    use_svg_display,
)
from d2lext.core.timing import Timer
from d2lext.jax import functions
from d2lext.jax.blocks import LeNet, Residual, ResNeXtBlock, corr2d
from d2lext.jax.data import DataModule, FashionMNIST
from d2lext.jax.device import cpu, gpu, num_gpus, try_all_gpus, try_gpu
from d2lext.jax.functions import *  # noqa: F403  functions.__all__
from d2lext.jax.models import create_model, examine, predict
from d2lext.jax.module import (
    Classifier,
    Module,
    get_key,
    init_cnn,
    init_he,
    num_params,
)
from d2lext.jax.recompute import recompute
from d2lext.jax.trainer import Trainer
from d2lext.jax.weights import (
    architecture_of,
    get_weights,
    load_weights,
    save_weights,
    set_weights,
)

__all__ = [
    "Architecture",
    "Classifier",
    "DataModule",
    "FashionMNIST",
    "HyperParameters",
    "LeNet",
    "Module",
    "ProgressBoard",
    "ResNeXtBlock",
    "Residual",
    "Timer",
    "Trainer",
    "add_to_class",
    "architecture",
    "architecture_of",
    "check_positive",
    "corr2d",
    "cpu",
    "create_model",
    "examine",
    "get_key",
    "get_weights",
    "gpu",
    "init_cnn",
    "init_he",
    "list_models",
    "load_weights",
    "num_gpus",
    "num_params",
    "plot",
    "predict",
    "recompute",
    "save_weights",
    "set_axes",
    "set_figsize",
    "set_weights",
    "show_images",
    "try_all_gpus",
    "try_gpu",
    "use_svg_display",
    *functions.__all__,
    *EXPORTED,
]


def __getattr__(name):
    return lookup(__name__, name)
