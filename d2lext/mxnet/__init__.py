"""d2l for MXNet: `from d2lext import mxnet as d2l`. Images are (n, c, h, w).

Import it before `mxnet`, which on its own does not load with NumPy 2.
"""

from d2lext.mxnet import loading  # noqa: F401  first, for its errors

# isort: split
from d2lext.core.names import shared
from d2lext.core.names.exports import EXPORTED, lookup
from d2lext.core.names.shared import *
from d2lext.mxnet import (
    blocks,
    data,
    device,
    functions,
    memory,
    models,
    module,
    weights,
)
from d2lext.mxnet.blocks import *
from d2lext.mxnet.data import *
from d2lext.mxnet.device import *
from d2lext.mxnet.functions import *
from d2lext.mxnet.memory import *
from d2lext.mxnet.models import *
from d2lext.mxnet.module import *
from d2lext.mxnet.trainer import Trainer
from d2lext.mxnet.weights import *

__all__ = [
    *shared.__all__,
    *blocks.__all__,
    *data.__all__,
    *device.__all__,
    *functions.__all__,
    *memory.__all__,
    *models.__all__,
    *module.__all__,
    "Trainer",
    *weights.__all__,
    *EXPORTED,
]


def __getattr__(name):
    return lookup(__name__, name)
