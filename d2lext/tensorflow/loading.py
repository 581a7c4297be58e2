"""Imports TensorFlow and Keras quietly, or says how to install them.

Every other module of this package relies on `__init__.py` having imported this one
first: Keras chooses its backend once, when it is loaded.
"""

import os

from d2lext.core.frameworks import needed_by
from d2lext.core.machine.quiet import quiet_stderr

os.environ["KERAS_BACKEND"] = "tensorflow"  # before it is read, by Keras' import
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # "no CUDA" is an error to it
# TensorFlow logs before it looks at its log level.
with needed_by("tensorflow"), quiet_stderr():
    import keras
if keras.config.backend() != "tensorflow":
    raise ImportError(
        "Keras must run on TensorFlow, but in this process it runs on "
        f"{keras.config.backend()}: restart Python and import d2lext.tensorflow first"
    )
