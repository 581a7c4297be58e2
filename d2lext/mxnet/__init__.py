"""d2l for MXNet: `from d2lext import mxnet as d2l`. Images are (n, c, h, w).

Import it before `mxnet` itself, which does not find its way in NumPy 2 alone.
"""

from d2lext.mxnet import loading  # noqa: F401  first, for its errors

# isort: split
from d2lext.core.checks import check_positive
from d2lext.core.exports import EXPORTED, lookup
from d2lext.core.hyperparameters import HyperParameters, add_to_class
from d2lext.core.plotting import ProgressBoard, show_images, use_svg_display
from d2lext.mxnet.data import DataModule, FashionMNIST
from d2lext.mxnet.device import cpu, gpu, num_gpus, try_all_gpus, try_gpu
from d2lext.mxnet.module import SGD, Classifier, Module, init_cnn, num_params
from d2lext.mxnet.trainer import Trainer

__all__ = [
    "SGD",
    "Classifier",
    "DataModule",
    "FashionMNIST",
    "HyperParameters",
    "Module",
    "ProgressBoard",
    "Trainer",
    "add_to_class",
    "check_positive",
    "cpu",
    "gpu",
    "init_cnn",
    "num_gpus",
    "num_params",
    "show_images",
    "try_all_gpus",
    "try_gpu",
    "use_svg_display",
    *EXPORTED,
]


def __getattr__(name):
    return lookup(__name__, name)
