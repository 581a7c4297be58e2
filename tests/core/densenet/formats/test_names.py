"""Names under which people save a DenseNet: prefixes, wrappers, other heads.

The files are safetensors, whose names are read by the same code as PyTorch's. The oracle
is the tensor that was given the name.
"""

import re

import numpy as np
import pytest
from safetensors.numpy import save_file
from shared.weight_files import SMALL, random_weights, refusal
from shared.weights import assert_same

from d2lext.core.densenet import formats

WEIGHTS = random_weights(SMALL)
OTHER = {name: array + 1 for name, array in WEIGHTS.items()}
FEATURES = [layer for layer in SMALL.layers() if layer.kind != "linear"]


def prefixed(prefix, weights=WEIGHTS):
    return {prefix + name: array for name, array in weights.items()}


def renamed(pattern, new):
    return {re.sub(pattern, new, name): array for name, array in WEIGHTS.items()}


def with_counters():
    more = {}
    for name in WEIGHTS:
        if name.endswith("running_var"):
            layer = name.removesuffix("running_var")
            more[f"{layer}num_batches_tracked"] = np.array(7)
            more[f"{layer}_extra_state"] = np.zeros(3, np.uint8)
    return WEIGHTS | more


NAMES = {
    prefix: lambda prefix=prefix: prefixed(prefix)
    for prefix in (
        "module.",
        "module.module.",
        "_orig_mod.",
        "_orig_mod.module.",
        "model.",
        "model.model.",
        "net.",
        "backbone.",
        "densenet121.",
        "timm_model.",
        "state_dict.model.net.",
        "my.own.path.1.",
    )
} | {
    "features": lambda: renamed(r"^features\.", "backbone.features."),
    "other prefixes": lambda: renamed("^(f|class)", r"module.backbone.\1"),
    "children": lambda: renamed(r"^features\.", "0."),
    "bare features": lambda: renamed(r"^features\.", ""),
    "CheXNet": lambda: {
        re.sub(r"(denselayer\d+\.(?:norm|conv))", r"\1.", name): array
        for name, array in prefixed(
            "module.densenet121.", renamed("^classifier", "classifier.0")
        ).items()
    },
    "fc": lambda: renamed("^classifier", "fc"),
    "head of a model": lambda: renamed("^(features)", r"model.\1"),
    "head.fc": lambda: prefixed("encoder.", renamed("^classifier", "head.fc")),
    "norm_final": lambda: renamed("norm5", "norm_final"),
    "norm4": lambda: renamed("norm5", "norm4"),
    "MONAI": lambda: renamed(
        r"(denselayer\d+)\.|^classifier",
        lambda match: f"{match[1]}.layers." if match[1] else "class_layers.out",
    ),
    "parts of a checkpoint": lambda: renamed("^(features)", r"backbone.\1")
    | {
        "optimizer.state.0.momentum_buffer": np.ones((6, 3, 7, 7), np.float32),
        "rng_state": np.zeros(5, np.uint8),
    },
    "compiled within": lambda: renamed("^features", "features._orig_mod"),
    "averaged": lambda: prefixed("module.") | {"n_averaged": np.array(3)},
    "counters": with_counters,
    "Lightning": lambda: prefixed("model.") | {"criterion.weight": np.ones(10, np.float32)},
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names(tmp_path, name):
    path, saved = tmp_path / "weights", NAMES[name]()
    save_file(saved, path)
    assert_same(formats.read(path, SMALL.layers()), WEIGHTS)
    features = {n: w for n, w in WEIGHTS.items() if not n.startswith("classifier")}
    assert_same(formats.read(path, FEATURES), features)


@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [
        ("model", "ema", "model"),
        ("ema", "model", "model"),
        ("state_dict.model", "state_dict.ema_model", "state_dict.model"),
        ("state_dict", "state_dict_ema", "state_dict"),
        ("model_state_dict", "averaged", "model_state_dict"),
        ("params", "params_ema", "params"),
    ],
)
def test_several_networks(tmp_path, first, second, taken):
    path = tmp_path / "weights"
    values = {name: WEIGHTS if name == taken else OTHER for name in (first, second)}
    save_file(
        prefixed(f"{first}.", values[first]) | prefixed(f"{second}.", values[second]),
        path,
    )
    with pytest.warns(UserWarning, match=f"2 networks, .*: took '{taken}'; save"):
        assert_same(formats.read(path, SMALL.layers()), WEIGHTS)


def test_networks_between_which_nothing_decides(tmp_path):
    path = tmp_path / "weights"
    save_file(prefixed("student.") | prefixed("teacher.", OTHER), path)
    assert "got those of 2, 'student' and 'teacher': save the tensors" in refusal(path)


ZEROS = np.zeros((4, 15), np.float32)


@pytest.mark.parametrize(
    ("change", "message", "of_head"),
    [
        (
            {"classifier.weight": None, "classifier.bias": None},
            "classifier.weight is missing from the file (and 1 more",
            True,
        ),
        (
            {"classifier.weight": None, "classifier.0.weight": ZEROS}
            | {"classifier.3.weight": ZEROS},
            "which has 'classifier.0.weight', 'classifier.3.weight'",
            True,
        ),
        (
            {"temperature": ZEROS[0, :1]},
            "'temperature' is in the file, but not in",
            True,
        ),
        (
            {"logit_scale": np.array(1, np.float32)},
            "'logit_scale' is in the file, but not in",
            True,
        ),
        ({"head.weight": ZEROS}, "'head.weight' is in the file, but not in", True),
        (
            {"features.denseblock1.denselayer1.se.weight": ZEROS},
            "'features.denseblock1.denselayer1.se.weight' is in the file, but",
            False,
        ),
        (
            {"features.conv0.weight": None, "features.conv0.weight_orig": ZEROS},
            "features.conv0.weight is missing from the file, which has "
            "'features.conv0.weight_orig' (and 1 more difference): before saving, make",
            False,
        ),
        (
            {"classifier.weight": None}
            | {"classifier.parametrizations.weight.original0": ZEROS},
            "original0' (and 1 more difference): before saving, make what is",
            True,
        ),
    ],
)
def test_other_layers(tmp_path, change, message, of_head):
    """What is not in the network is named; in a head it can be left out."""
    path = tmp_path / "weights"
    saved = {n: w for n, w in (WEIGHTS | change).items() if w is not None}
    save_file(saved, path)
    assert message in refusal(path)
    if of_head:
        features = {n: w for n, w in WEIGHTS.items() if not n.startswith("classifier")}
        assert_same(formats.read(path, FEATURES), features)
    else:
        with pytest.raises(ValueError, match=re.escape(message)):
            formats.read(path, FEATURES)


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_tensor_beside_the_network(tmp_path, shape):
    """As of a wrapper that calibrates: a warning, unless it is known to be inert."""
    path = tmp_path / "weights"
    inert = {
        "best_acc1": np.array(77, np.float32),
        "ema.shadow_params.0": ZEROS,
        "optimizer_states.0.state.3.exp_avg": ZEROS,
        "steps": np.zeros(2, np.int64),
        "loss_fn.weight": ZEROS[0],
    }
    save_file(prefixed("model.") | inert, path)
    assert_same(formats.read(path, SMALL.layers()), WEIGHTS)
    save_file(prefixed("model.") | inert | {"temperature": np.ones(shape, "f4")}, path)
    with pytest.warns(
        UserWarning, match="has 'temperature' beside the network 'model'"
    ):
        assert_same(formats.read(path, SMALL.layers()), WEIGHTS)
    assert_same(
        formats.read(path, FEATURES),
        {n: w for n, w in WEIGHTS.items() if not n.startswith("classifier")},
    )


def test_names_of_something_else(tmp_path):
    path = tmp_path / "weights"
    save_file({f"layer{i}.weight": ZEROS for i in range(5)}, path)
    assert (
        "must have the layers of a DenseNet, such as 'features.conv0.weight', got "
        "'layer0.weight', 'layer1.weight', 'layer2.weight', ...: rename"
    ) in refusal(path)
