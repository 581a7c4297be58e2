"""What d2l's notebooks call has d2l's names, and in PyTorch does the same as d2l's own."""

import ast
import importlib

import numpy as np
import pytest
from shared.selected import d2l_or_skip

from d2lext.core.frameworks import IDS


@pytest.fixture
def torch():
    """d2lext for PyTorch and the d2l that it replaces."""
    d2l = d2l_or_skip("torch")
    pytest.importorskip("d2l", reason="d2l is not installed")
    return d2l, importlib.import_module(d2l.Vocab.__module__)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("repeat", ((2, 3),)),
        ("reshape", ((3, -1),)),
        ("transpose", ()),
        ("swapaxes", (0, 1)),
        ("expand_dims", (1,)),
        ("size", ()),
        ("argmax", (1,)),
        ("reduce_sum", ()),
        ("reduce_mean", (0, True)),
        ("numpy", ()),
        ("to", ("cpu",)),
    ],
)
def test_a_function_does_what_it_does_in_d2l(torch, name, arguments):
    x = np.random.default_rng(0).normal(size=(2, 6))
    ours, theirs = (
        getattr(d2l, name)(d2l.tensor(x, requires_grad=True), *arguments)
        for d2l in torch
    )
    assert type(ours) is type(theirs)
    ours, theirs = (getattr(a, "detach", lambda a=a: a)() for a in (ours, theirs))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("LeNet", ()),
        ("Residual", (4,)),
        ("Residual", (8, True, 2)),
        ("ResNeXtBlock", (4, 2, 1)),
        ("ResNeXtBlock", (16, 4, 0.5, True, 2)),
    ],
)
def test_a_block_computes_what_it_does_in_d2l(torch, name, arguments):
    shape = (2, 1, 28, 28) if name == "LeNet" else (2, 4, 6, 6)
    ours, theirs = (getattr(d2l, name)(*arguments) for d2l in torch)
    X = torch[0].randn(*shape)
    ours(X)
    theirs(X)
    theirs.load_state_dict(ours.state_dict())
    assert np.array_equal(torch[0].numpy(ours(X)), torch[0].numpy(theirs(X)))


def public_names(path):
    """The strings in a module's `__all__`, in order, without importing it."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
            return [e.value for e in node.value.elts if isinstance(e, ast.Constant)]


@pytest.mark.parametrize("name", IDS)
def test_public_functions_are_the_same(root, name):
    package, torch = root / "d2lext" / name, root / "d2lext" / "torch"
    functions = public_names(package / "functions.py")
    assert functions == public_names(torch / "functions.py")
