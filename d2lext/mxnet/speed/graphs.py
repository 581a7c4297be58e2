"""Replaces operations in MXNet's traced graph of a network with faster ones."""

import functools
import json
import os
import types

import numpy
from mxnet import autograd, sym
from mxnet.gluon import HybridBlock

_CHANNELS = 16  # of a block in the layouts in which oneDNN computes convolutions


def compile_faster(model, in_bf16=False):
    """Let each part of `model` apply `faster` to its graph once it is traced.

    With `in_bf16`, only the training graph is in bfloat16: evaluation stays float32.
    """
    if in_bf16:
        # Add the gradients of an array that several layers read as they are computed. By
        # default MXNet adds up to seven at once, in an operation that supports neither
        # oneDNN's layouts nor bfloat16. It reads this at its first gradient.
        os.environ.setdefault("MXNET_EXEC_INPLACE_GRAD_SUM_CAP", "1")
    model.apply(functools.partial(_take_faster, in_bf16=in_bf16))


def compile_faster_again(model):
    """The same for a model that was pickled, which has lost what `compile_faster` did."""
    model.apply(lambda b: hasattr(b, "_in_bf16") and _take_faster(b, b._in_bf16))


def as_compiled(block, graph, **shapes):
    """The `graph` of a part of a model, as `compile_faster` changes it for this mode."""
    in_bf16 = getattr(block, "_in_bf16", None)
    if in_bf16 is None:
        return graph
    return faster(graph, in_bf16 and autograd.is_training(), **shapes)


def faster(graph, in_bf16=False, **shapes):
    """The symbol `graph`, whose inputs have `shapes`, with faster operations.

    Copies are removed: dropout of rate 0 is one, and so is a concatenation of one array.
    NumPy's concatenation becomes the older one, oneDNN's, which keeps the layout of
    convolutions; after NumPy's, each layer converts its input. In MXNet 1.9.1 the older
    one fails on inputs (n, c, h, w) if c is not a multiple of 16; there NumPy's stays.

    With `in_bf16`, convolutions and operations between them run in bfloat16, in the
    backward pass too. Products are summed in float32; parameters, their gradients and the
    statistics of batch normalization stay float32.
    """
    content = json.loads(graph.tojson())
    nodes = content["nodes"]
    for number, node in enumerate(nodes):
        if node["op"] != "null":  # not an input or parameter
            node["name"] += (
                f"_{number}"  # a layer that is called twice has only one name
            )
    is_blocked = _find_blocked(_load(content), shapes)
    for node in nodes:
        node["inputs"] = [_original(nodes, entry) for entry in node["inputs"]]
        sources = [nodes[entry[0]]["name"] for entry in node["inputs"]]
        if _is_concatenation(node) and all(is_blocked[name] for name in sources):
            node["op"], node["attrs"]["dim"] = "Concat", node["attrs"].pop("axis")
    if not in_bf16:
        return _load(content)
    content = json.loads(_load(content).tojson())  # without unused nodes
    return _load(_cast(content, _find_bfloat16(content["nodes"], is_blocked)))


def _load(content):
    return sym.load_json(json.dumps(content)).as_np_ndarray()


def _find_blocked(graph, shapes):
    """Whether each node's first output has whole blocks of channels, by the node's name."""
    parts, is_blocked = graph.get_internals(), {}
    _, sizes, _ = parts.infer_shape_partial(**shapes)
    for part, size in zip(parts, sizes, strict=True):
        whole = len(size) == 4 and size[1] > 0 and size[1] % _CHANNELS == 0
        is_blocked.setdefault(part.name, whole)
    return is_blocked


def _is_concatenation(node):
    is_several = node["op"] == "_npi_concatenate" and len(node["inputs"]) > 1
    return is_several and node["attrs"]["axis"] == "1"


def _original(nodes, entry):
    """The entry (node, output, version) of which `entry` is a copy, else `entry`."""
    node = nodes[entry[0]]
    is_copy = (
        node["op"] in ("_np_copy", "_npi_concatenate") and len(node["inputs"]) == 1
    )
    return node["inputs"][0] if is_copy else entry


def _find_bfloat16(nodes, is_blocked):
    """The numbers of the nodes to compute in bfloat16: convolutions and what joins them.

    Others, such as pooling, are included if their data is available in bfloat16.
    """
    chosen, available = set(), set()
    while True:
        before = len(chosen)
        for number, node in enumerate(nodes):
            data = node["inputs"][: None if node["op"] == "Concat" else 1]
            data = {tuple(entry[:2]) for entry in data}
            if node["op"] == "Convolution" or data & available:
                around = [node, *(nodes[source] for source, _ in data)]
                blocked = all(is_blocked[other["name"]] for other in around)
                if blocked and _has_bfloat16(node):
                    chosen.add(number)
                    available |= {(number, 0)} | data
        if len(chosen) == before:
            return chosen


def _has_bfloat16(node):
    """Whether oneDNN computes it in bfloat16, quickly on whole blocks of channels."""
    attrs = node.get("attrs", {})
    return (
        node["op"] in ("Activation", "BatchNorm", "Concat", "Convolution", "Pooling")
        and attrs.get("act_type", "relu") == "relu"
        and attrs.get("num_group", "1") == "1"
        and attrs.get("pool_type", "max") in ("max", "avg")
    )


def _cast(content, in_bf16):
    """`content` with the nodes numbered in `in_bf16` in bfloat16, others in float32."""
    old, new, numbers, casts = content["nodes"], [], [], {}

    def bf16_inputs(number):
        node = old[number]
        data = 1 if node["op"] == "BatchNorm" else len(node["inputs"])
        return [number in in_bf16 and i < data for i in range(len(node["inputs"]))]

    wanted = {tuple(entry[:2]): {False} for entry in content["heads"]}
    for number, node in enumerate(old):
        for entry, to_bf16 in zip(node["inputs"], bf16_inputs(number), strict=True):
            wanted.setdefault(tuple(entry[:2]), set()).add(to_bf16)

    def add(op, name, entry, **attrs):
        new.append({"op": op, "name": name, "attrs": attrs, "inputs": [entry]})
        return [len(new) - 1, 0, 0]

    def cast(entry, to_bf16):
        node, output, version = entry
        source = [numbers[node], output, version]
        if to_bf16 == (node in in_bf16 and output == 0):
            return source
        if (node, output) not in casts:
            dtype = "bfloat16" if to_bf16 else "float32"
            name = f"{old[node]['name']}_{output}_{dtype}"
            if len(wanted[node, output]) == 2:
                # MXNet's gradient of a cast overwrites where it should add.
                source = add("_copy", f"{name}_copy", source)
            casts[node, output] = add("amp_cast", name, source, dtype=dtype)
        return casts[node, output]

    for number, node in enumerate(old):
        pairs = zip(node["inputs"], bf16_inputs(number), strict=True)
        inputs = [cast(entry, to_bf16) for entry, to_bf16 in pairs]
        numbers.append(len(new))
        new.append({**node, "inputs": inputs})
    heads = [cast(entry, False) for entry in content["heads"]]
    variables = [i for i, node in enumerate(new) if node["op"] == "null"]
    changed = {"nodes": new, "heads": heads, "arg_nodes": variables}
    return {k: v for k, v in (content | changed).items() if k != "node_row_ptr"}


def _take_faster(block, in_bf16):
    if isinstance(block, HybridBlock):
        # A method, not a closure, so that a copy of the block gets its own.
        block._build_cache = types.MethodType(_build_cache, block)
        block._in_bf16 = in_bf16


def _build_cache(block, *args):
    inputs, graph = block._get_graph(*args)
    if len(inputs) != len(args) or any(
        getattr(a, "dtype", None) != numpy.float32 for a in args
    ):
        # Some are lists, or of a type for which oneDNN has no layouts.
        return type(block)._build_cache(block, *args)
    shapes = {i.name: a.shape for i, a in zip(inputs, args, strict=True)}
    compiled = []
    for in_bf16 in (True, False) if block._in_bf16 else (False,):
        block._cached_graph = inputs, faster(graph, in_bf16, **shapes)
        type(block)._build_cache(block, *args)
        compiled.append(block._cached_op)
    if block._in_bf16:
        block._cached_op = _ByMode(*compiled)


class _ByMode:
    """A compiled graph for training, and one for evaluation, with the same inputs."""

    def __init__(self, training, evaluation):
        self.training, self.evaluation = training, evaluation

    def __call__(self, *args):
        graph = self.training if autograd.is_training() else self.evaluation
        return graph(*args)

    def _register_op_hook(self, callback, monitor_all=False):
        for graph in (self.training, self.evaluation):
            graph._register_op_hook(callback, monitor_all)
