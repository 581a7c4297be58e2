"""The four backends side by side: the same files, and in them the same names in one order.

The files are parsed, not imported: all four are compared wherever these tests run.
"""

import ast
import re

import pytest

from d2lext.core.frameworks import IDS
from d2lext.core.names import shared

# What one framework has beyond the others, and why.
ONLY_FILES = {
    "torch": ["accelerators.py"],  # it drives several kinds of GPU
    "jax": [
        "accelerators.py",  # so does it
        "variables.py",  # Flax keeps them beside the model, in collections
    ],
    "mxnet": [
        "numpy1.py",  # restores NumPy's names; it also runs without the package
        "optimizers.py",  # Gluon's know no state that could be read without executing it
    ],
    "tensorflow": [
        "accelerators.py",  # MXNet asks its GPUs nothing
        "changes.py",  # Keras makes a copy anew, from the constructor's arguments
        "keras_model.py",  # Keras needs to know how a model is made, to save and copy it
        "penalties.py",  # its layers add to the loss, and its optimisers expect that
        "randomness.py",  # TensorFlow and Keras hide their random numbers
        "settings.py",  # Keras' global settings would change our models
        "variables.py",  # Keras counts some, TensorFlow none: a checkpoint has all
    ],
}
ONLY_NAMES = {
    ("jax", "densenet.py"): ["batch_norm"],  # its options, written once
    ("torch", "module.py"): ["in_mode"],  # its modules have a mode each
    ("torch", "data.py"): ["DataModule"],  # the core's tensor[indices] waits for a GPU
    ("mxnet", "module.py"): [
        "SGD",  # d2l's, for parameters that are bare arrays
        "held_arrays",  # those arrays: a copy lets them have gradients again
        "numbered",  # the blocks that hold them: names keep counting in a process
    ],
    ("jax", "data.py"): ["DataModule"],  # a GPU waits for the core's tensor[indices]
    ("jax", "module.py"): ["get_key"],  # d2l's: random numbers need a key
    ("jax", "identity.py"): ["fields"],  # of Flax: what defines a module
    ("jax", "state.py"): ["TrainState"],  # a step takes and returns its state
    ("tensorflow", "blocks.py"): [
        "GroupedConv2D"
    ],  # TensorFlow cannot train Keras' own
    ("tensorflow", "data.py"): ["DataModule"],  # the core's: tensor[indices] fails
    ("tensorflow", "device.py"): ["entered"],  # `with device:` may surround a training
    ("tensorflow", "module.py"): [
        "flatten",  # Keras has no public way to all layers
        "GlorotUniform",  # its layers take initializers as objects
        "HeNormal",
    ],
    ("tensorflow", "weights.py"): ["build_layers"],  # Keras itself takes twice as long
}


def files(root, backend):
    """The backend's files and folders, without those that it alone has."""
    names = {path.name for path in (root / "d2lext" / backend).iterdir()}
    return sorted(names - {"__pycache__", *ONLY_FILES.get(backend, ())})


def tree(root, backend, file):
    path = root / "d2lext" / backend / file
    return ast.parse(path.read_text(encoding="utf-8")).body


def defined(statements):
    """The public names that a module defines at its top level, in order."""
    names = []
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if hasattr(target, "id")]
    return [name for name in names if not name.startswith("_")]


def offered(statements):
    """The names in a module's `__all__`, in order; none where it has no such list."""
    for node in statements:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


@pytest.mark.parametrize("backend", IDS)
def test_files(root, backend):
    assert files(root, backend) == files(root, "torch")
    assert "speed" in files(root, backend)
    for file in ONLY_FILES.get(backend, ()):
        assert (root / "d2lext" / backend / file).is_file()


@pytest.mark.parametrize("names_of", [defined, offered])
@pytest.mark.parametrize("backend", IDS)
def test_names(root, backend, names_of):
    for file in files(root, "torch"):
        if not file.endswith(".py") or file == "__init__.py":
            continue
        names = names_of(tree(root, backend, file))
        torchs = ONLY_NAMES.get(("torch", file), [])
        expected = names_of(tree(root, "torch", file))
        expected = [name for name in expected if name not in torchs]
        only = ONLY_NAMES.get((backend, file), [])
        common = [n for n in names if n not in (*only, *torchs) or n in expected]
        assert common == expected, file
        if names_of is defined:
            assert set(only) <= set(names), file


@pytest.mark.parametrize("backend", IDS)
def test_packages(root, backend):
    """They differ in their docstrings alone, and offer each name once."""
    code, reference = (
        (root / "d2lext" / b / "__init__.py").read_text().split('"""', 2)[2]
        for b in (backend, "torch")
    )
    assert code.replace(f"d2lext.{backend}", "d2lext.torch") == reference
    names = [*shared.__all__]
    for module in re.findall(r"\*(\w+)\.__all__", code):
        if module != "shared":
            names += offered(tree(root, backend, f"{module}.py"))
    assert len(names) == len(set(names))
