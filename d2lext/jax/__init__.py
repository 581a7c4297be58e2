"""d2l for JAX: `from d2lext import jax as d2l`. Images are (n, h, w, c)."""

from d2lext.jax import loading  # noqa: F401  first, for its errors

# isort: split
from d2lext.core.names import shared
from d2lext.core.names.exports import EXPORTED, lookup
from d2lext.core.names.shared import *
from d2lext.jax import (
    blocks,
    data,
    device,
    functions,
    memory,
    models,
    module,
    weights,
)
from d2lext.jax.blocks import *
from d2lext.jax.data import *
from d2lext.jax.device import *
from d2lext.jax.functions import *
from d2lext.jax.memory import *
from d2lext.jax.models import *
from d2lext.jax.module import *
from d2lext.jax.trainer import Trainer
from d2lext.jax.weights import *

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
