"""d2l for PyTorch: `from d2lext import torch as d2l`. Images are (n, c, h, w)."""

from d2lext.torch import loading  # noqa: F401  first, for its errors

# isort: split
from d2lext.core.names import shared
from d2lext.core.names.exports import EXPORTED, lookup
from d2lext.core.names.shared import *
from d2lext.torch import (
    blocks,
    data,
    device,
    functions,
    memory,
    models,
    module,
    weights,
)
from d2lext.torch.blocks import *
from d2lext.torch.data import *
from d2lext.torch.device import *
from d2lext.torch.functions import *
from d2lext.torch.memory import *
from d2lext.torch.models import *
from d2lext.torch.module import *
from d2lext.torch.trainer import Trainer
from d2lext.torch.weights import *

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
