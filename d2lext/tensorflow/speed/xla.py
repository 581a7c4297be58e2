"""A step as one program for a GPU: XLA fuses operations that else are a kernel each.

The first chapter's step has 466 kernels instead of about 735, which move 3.1 GB instead of
5.5, and launches them itself. As compiled for an H200, not measured.
"""

import tensorflow as tf

# Keras compiles its own `fit` where this says so; it has no public way to ask.
from keras.src.trainers.trainer import model_supports_jit
from tensorflow.python.framework import config

# Compiling takes about as long as it saves in so many steps.
FEWEST_STEPS = 2000


def by_xla(function, model):
    """The concrete `function`, compiled by XLA; itself where that changes its numbers.

    These are what operations such as `tf.random.normal` draw, which XLA does not seed, and
    all that must be deterministic. Operations that XLA lacks show in the first call, which
    then runs without it, as all that follow.
    """
    is_deterministic = config.is_op_determinism_enabled()  # Keras 3.4 does not ask
    if is_deterministic or not model_supports_jit(model) or _draws(function.graph):
        return function
    specs, _ = function.structured_input_signature
    compiled = tf.function(function, autograph=False, jit_compile=True)
    compiled = compiled.get_concrete_function(*specs)

    def call(*args):
        nonlocal compiled
        try:
            return compiled(*args)
        except tf.errors.ResourceExhaustedError:
            raise
        except tf.errors.OpError:
            compiled = function  # nothing has run yet
            return function(*args)

    return call


def _draws(graph):
    """Whether there is an operation in a graph, or in its functions, with a seed."""
    definition = graph.as_graph_def()
    functions = definition.library.function
    nodes = [definition.node, *(function.node_def for function in functions)]
    return any("seed2" in node.attr for some in nodes for node in some)
