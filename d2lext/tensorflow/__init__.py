"""d2l for TensorFlow: `from d2lext import tensorflow as d2l`. Images are (n, h, w, c).

Import it before TensorFlow and Keras: it chooses Keras' backend and keeps TensorFlow's
start-up log out of notebooks.
"""

from d2lext.tensorflow import loading  # noqa: F401  first, for its errors

# isort: split
from d2lext.core.names import shared
from d2lext.core.names.exports import EXPORTED, lookup
from d2lext.core.names.shared import *
from d2lext.tensorflow import (
    blocks,
    data,
    device,
    functions,
    memory,
    models,
    module,
    weights,
)
from d2lext.tensorflow.blocks import *
from d2lext.tensorflow.data import *
from d2lext.tensorflow.device import *
from d2lext.tensorflow.functions import *
from d2lext.tensorflow.memory import *
from d2lext.tensorflow.models import *
from d2lext.tensorflow.module import *
from d2lext.tensorflow.trainer import Trainer
from d2lext.tensorflow.weights import *

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
