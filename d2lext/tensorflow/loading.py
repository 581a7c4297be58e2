"""Imports TensorFlow and Keras quietly, or says how to install them.

`__init__.py` imports this module before all others in the package: Keras chooses its
backend only once, when it is loaded, and TensorFlow how it takes a GPU's memory.
"""

import os

from d2lext.core.frameworks import needed_by
from d2lext.core.machine.quiet import quiet_stderr

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it logs "no CUDA" as an error
# Otherwise it takes nearly all memory of each GPU at its first operation.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
# TensorFlow logs before it reads its log level.
with needed_by("tensorflow"), quiet_stderr():
    import keras
if keras.config.backend() != "tensorflow":
    raise ImportError(
        "Keras must run on TensorFlow, but in this process it runs on "
        f"{keras.config.backend()}: restart Python and import d2lext.tensorflow first"
    )
