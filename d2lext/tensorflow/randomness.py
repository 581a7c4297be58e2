"""The random numbers of TensorFlow and Keras: kept around a training, and in a checkpoint.

Functions of `tf.random` within a compiled step count for themselves, where nobody can
read it.
"""

import contextlib

import numpy as np
import tensorflow as tf

# TensorFlow and Keras have no public way back.
from keras.src.backend.common import global_state
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR, global_seed_generator
from keras.src.utils.rng_utils import GLOBAL_RANDOM_SEED
from tensorflow.python.eager import context

_OF_TENSORFLOW, _OF_KERAS = "random/tensorflow", "random/keras"


@contextlib.contextmanager
def kept():
    """A context after which they go on as before."""
    names = GLOBAL_RANDOM_SEED, GLOBAL_SEED_GENERATOR
    of_keras = {name: global_state.get_global_attribute(name) for name in names}
    eager = context.context()
    seed, rng = eager._seed, _of_tensorflow()
    try:
        yield
    finally:
        tf.random.set_seed(seed)  # which also forgets what was drawn within
        eager._rng = rng
        for name, value in of_keras.items():
            global_state.set_global_attribute(name, value)


def get_state():
    """Where the seeds of eager operations are, and those of Keras where none is given."""
    arrays = {}
    if rng := _of_tensorflow():
        arrays[_OF_TENSORFLOW] = np.array(rng.getstate()[1])
    if generator := global_state.get_global_attribute(GLOBAL_SEED_GENERATOR):
        arrays[_OF_KERAS] = generator.state.numpy()
    return arrays


def set_state(arrays):
    """Let them go on from what `get_state` returned in an earlier process."""
    rng = _of_tensorflow()
    if rng and _OF_TENSORFLOW in arrays:
        version, _, gauss = rng.getstate()
        rng.setstate((version, tuple(arrays[_OF_TENSORFLOW].tolist()), gauss))
    if _OF_KERAS in arrays:
        global_seed_generator().state.assign(arrays[_OF_KERAS])


def _of_tensorflow():
    """Python's generator of seeds for eager operations; None without a global seed."""
    return getattr(context.context(), "_rng", None)
