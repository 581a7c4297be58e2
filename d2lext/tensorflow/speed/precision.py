"""Computing in bfloat16 while the variables, the statistics and the loss stay float32.

`in_graph` is the faster of two ways: TensorFlow itself rewrites a compiled step. `mixed`
also works for eager steps and on GPUs. The trainer decides when to use which.
"""

import contextlib
import copy

import keras
import tensorflow as tf

# TensorFlow has no public way to give options to a single call.
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.eager import context


def in_graph(function):
    """A function of `tf.function` that computes in bfloat16, whoever calls it.

    TensorFlow casts around convolutions, matrix products and operations between them, in
    any layers; sums, softmax and the loss stay float32. This works only on CPUs with
    oneDNN; elsewhere the function runs unchanged.
    """
    eager = context.context()
    options = copy.copy(eager.function_call_options)
    config = tf.compat.v1.ConfigProto.FromString(options.config_proto_serialized)
    rewriting = config.graph_options.rewrite_options
    rewriting.auto_mixed_precision_onednn_bfloat16 = RewriterConfig.ON
    options.config_proto_serialized = config

    def call(*args):
        # Of this thread. Public options are the process', and set in milliseconds.
        before = eager.function_call_options
        eager.function_call_options = options
        try:
            return function(*args)
        finally:
            eager.function_call_options = before

    return call


@contextlib.contextmanager
def mixed(model):
    """Let the float32 layers of `model` compute in bfloat16, with Keras' policy.

    The model's output is float32 again, for the loss. On leaving, even after an
    exception, the model is as before.
    """
    if not model.built:
        # Keras would remember bfloat16 as the type of a Sequential's input.
        raise ValueError(
            f"mixed(model) needs a built model, got a {type(model).__name__} that has "
            "seen no input: call it on a batch first"
        )
    layers = [
        layer
        for layer in model._flatten_layers()  # Keras has no public way to visit each
        if layer.dtype_policy.name == "float32"
    ]
    # A Sequential keeps a graph that would cast to float32 on each entry. Without the
    # graph, it calls its layers one by one.
    graphs = [
        (layer, layer._functional)
        for layer in layers
        if isinstance(layer, keras.Sequential)
    ]
    call = model.call
    try:
        for layer in layers:
            layer.dtype_policy = "mixed_bfloat16"
        # Bypasses Keras' tracking of attributes, here and below.
        for layer, _ in graphs:
            vars(layer)["_functional"] = None
        vars(model)["call"] = lambda *args, **kwargs: _float32(call(*args, **kwargs))
        yield
    finally:
        vars(model).pop("call", None)
        for layer, graph in graphs:
            vars(layer)["_functional"] = graph
        for layer in layers:
            layer.dtype_policy = "float32"


def _float32(outputs):
    def cast(Y):
        return tf.cast(Y, tf.float32) if getattr(Y, "dtype", None) == "bfloat16" else Y

    return tf.nest.map_structure(cast, outputs)
