"""NumPy's old names, which MXNet asks for."""

import importlib.util
import runpy

import numpy as np
import pytest
from shared import ROOT
from shared.processes import python

PATH = str(ROOT / "d2lext" / "mxnet" / "numpy1.py")
# By itself: as a part of its package it would bring MXNet.
NUMPY1 = f"import runpy; numpy1 = runpy.run_path({PATH!r})"
numpy1 = runpy.run_path(PATH)


def test_old_names_mean_what_they_meant():
    assert (np.PINF, np.NINF, np.Inf) == (np.inf, -np.inf, np.inf)  # noqa: SIM300
    assert np.signbit([np.PZERO, np.NZERO]).tolist() == [False, True]
    assert np.isnan(np.NaN)
    a = np.array([[3, 1], [2, 5]])
    assert np.msort(a).tolist() == [[2, 1], [3, 5]]
    assert np.in1d(a, [1, 2]).tolist() == [False, True, True, False]
    assert np.in1d(a, [1, 2], invert=True).tolist() == [True, False, False, True]
    assert np.trapz([1, 2, 3]) == 4
    assert (np.product([2, 3]), np.alltrue([1, 0]), np.sometrue([1, 0])) == (6, 0, 1)
    assert np.round_(1.26, 1) == 1.3
    with pytest.raises(NotImplementedError, match="numpy_financial.npv"):
        np.npv(0.1, [1, 2])


def test_nothing_else_of_numpy_changes():
    code = (
        "import os, numpy as np\n"
        "before, environment = dict(vars(np)), dict(os.environ)\n"
        f"{NUMPY1}\n"
        "now = dict(vars(np))\n"
        "assert all(now[name] is value for name, value in before.items())\n"
        "assert environment == dict(os.environ)\n"
        "print(*sorted(set(now) - set(before)))"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr
    added = result.stdout.split()
    assert set(added) <= {*numpy1["_RENAMED"], *numpy1["_MOVED"]}


def test_a_name_that_numpy_has_stays():
    code = f"import numpy as np\nnp.in1d = 'as it was'\n{NUMPY1}\nprint(np.in1d)"
    assert python(code).stdout.strip() == "as it was"


@pytest.mark.slow
def test_mxnet_asks_for_each_name():
    """Other libraries read NumPy's version off its names: none without a reason."""
    if importlib.util.find_spec("mxnet") is None:
        pytest.skip("MXNet is not installed")
    code = (
        "import warnings\n"
        "warnings.simplefilter('ignore')\n"
        "import numpy as np\n"
        f"{NUMPY1}\n"
        "names = {*numpy1['_RENAMED'], *numpy1['_MOVED']}\n"
        "unasked = {name: vars(np).pop(name) for name in names}\n"
        "def ask(name, getattr=np.__getattr__):\n"
        "    if name not in unasked:\n"
        "        return getattr(name)\n"
        "    setattr(np, name, unasked.pop(name))\n"
        "    return vars(np)[name]\n"
        "np.__getattr__ = ask\n"
        "from mxnet import np as mnp\n"
        "mnp.pad(mnp.ones((1, 1)), ((1, 1), (1, 1)), mode='constant')\n"
        "unasked.pop('row_stack', None)  # asked for on some Pythons, not on 3.12\n"
        "print(sorted(unasked))"
    )
    result = python(code)
    assert result.stdout == "[]\n", result.stderr
