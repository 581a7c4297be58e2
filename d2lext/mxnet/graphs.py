"""The graph that MXNet traces of a network, with operations that it computes faster."""

import json
import types

from mxnet import sym
from mxnet.gluon import HybridBlock

_CHANNELS = 16  # of a block in the layouts in which oneDNN computes convolutions


def compile_faster(model):
    """Have each part of `model` change its graph by `faster` once it is traced."""
    model.apply(_take_faster)


def faster(graph, **shapes):
    """The symbol `graph`, whose inputs have `shapes`, in operations that take less time.

    Copies go: dropout of rate 0 is one, and so is a concatenation of one array. NumPy's
    concatenation becomes the older one, oneDNN's, which keeps the layout of convolutions;
    after the other each layer converts what it gets. In MXNet 1.9.1 the older one fails
    on inputs (n, c, h, w) whose c is no multiple of 16; there NumPy's stays.
    """
    parts, content = graph.get_internals(), json.loads(graph.tojson())
    nodes = content["nodes"]
    for node in nodes:
        node["inputs"] = [_original(nodes, entry) for entry in node["inputs"]]
        if _is_concatenation(node) and node["attrs"]["axis"] == "1":
            inputs = parts[f"{node['name']}_out"].get_children()
            _, sizes, _ = inputs.infer_shape(**shapes)
            if all(len(size) == 4 and size[1] % _CHANNELS == 0 for size in sizes):
                node["op"], node["attrs"]["dim"] = "Concat", node["attrs"].pop("axis")
    return sym.load_json(json.dumps(content)).as_np_ndarray()


def _is_concatenation(node):
    return node["op"] == "_npi_concatenate" and len(node["inputs"]) > 1


def _original(nodes, entry):
    """What `entry`, (node, output, version), is a copy of; else the entry itself."""
    node = nodes[entry[0]]
    is_copy = (
        node["op"] in ("_np_copy", "_npi_concatenate") and len(node["inputs"]) == 1
    )
    return node["inputs"][0] if is_copy else entry


def _take_faster(block):
    if isinstance(block, HybridBlock):
        # A method, not a closure: it moves with a copy of the block.
        block._build_cache = types.MethodType(_build_cache, block)


def _build_cache(block, *args):
    inputs, graph = block._get_graph(*args)
    if len(inputs) == len(args):  # no lists among them
        shapes = {i.name: a.shape for i, a in zip(inputs, args, strict=True)}
        block._cached_graph = inputs, faster(graph, **shapes)
    type(block)._build_cache(block, *args)
