"""The random numbers of TensorFlow and Keras: kept around a training, and in a checkpoint.

Functions of `tf.random` within a compiled step count for themselves, where nobody can
read it.
"""

import contextlib

import keras
import numpy as np
import tensorflow as tf

# TensorFlow and Keras have no public way back.
from keras.src.backend.common import global_state
from keras.src.random.seed_generator import global_seed_generator
from tensorflow.python.eager import context

_OF_TENSORFLOW, _OF_KERAS = "random/tensorflow", "random/keras"
_SEED, _GENERATOR = "global_random_seed", "global_seed_generator"  # Keras' names


def seed(seed):
    """Seed TensorFlow's and Keras' random numbers, Python's and NumPy's."""
    keras.utils.set_random_seed(seed)
    global_state.set_global_attribute(_GENERATOR, None)  # kept by Keras before 3.10


@contextlib.contextmanager
def kept():
    """A context after which they go on as before."""
    names = _SEED, _GENERATOR
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
    if generator := global_state.get_global_attribute(_GENERATOR):
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
