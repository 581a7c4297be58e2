"""The names that NumPy no longer has and MXNet 1.9.1 still uses.

MXNet was retired in 2023, before NumPy 2. Importing this module restores missing names
that MXNet reads, most of them on import. It changes no name that NumPy still has, no
thread setting and no allocator.
"""

from types import SimpleNamespace

import numpy as np

_RENAMED = {
    "PZERO": 0.0,
    "NZERO": -0.0,
    "PINF": np.inf,
    "NINF": -np.inf,
    "Inf": np.inf,
    "NaN": np.nan,
    "NAN": np.nan,
    "alltrue": np.all,
    "sometrue": np.any,
    "product": np.prod,
    "round_": np.round,
    "row_stack": np.vstack,
    "msort": lambda a: np.sort(a, axis=0),
    "in1d": lambda a, b, **kwargs: np.isin(np.ravel(a), b, **kwargs),
    "trapz": getattr(np, "trapezoid", None),  # NumPy 1 has it under the old name
    "compat": SimpleNamespace(basestring=str),  # for mxnet.np.pad
    "bool": np.bool_,  # which NumPy 2 has again
}
# MXNet re-exports these, though NumPy moved them to numpy-financial in 2019.
_MOVED = ("mirr", "npv", "pmt", "ppmt", "pv", "rate")


def _moved(name):
    def raise_moved(*args, **kwargs):
        raise NotImplementedError(
            f"numpy.{name} left NumPy in 1.20: install numpy-financial and call "
            f"numpy_financial.{name}"
        )

    return raise_moved


for _name, _value in {**_RENAMED, **{name: _moved(name) for name in _MOVED}}.items():
    if _name not in vars(np):
        setattr(np, _name, _value)
