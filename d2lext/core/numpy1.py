"""The names that NumPy 2 took away and MXNet 1.9.1 still asks for.

MXNet was retired in 2023, before NumPy 2. Importing this module gives NumPy back
the aliases that `import mxnet` reads, each only where it is missing; it changes
no name that NumPy still has, no thread setting and no allocator.
"""

import numpy as np

_RENAMED = {
    "PZERO": 0.0,
    "NZERO": -0.0,
    "PINF": np.inf,
    "NINF": -np.inf,
    "Inf": np.inf,
    "INF": np.inf,
    "Infinity": np.inf,
    "infty": np.inf,
    "NaN": np.nan,
    "NAN": np.nan,
    "float_": np.float64,
    "complex_": np.complex128,
    "unicode_": np.str_,
    "string_": np.bytes_,
    "alltrue": np.all,
    "sometrue": np.any,
    "product": np.prod,
    "cumproduct": np.cumprod,
    "round_": np.round,
    "row_stack": np.vstack,
    "int": int,
    "float": float,
    "object": object,
    "complex": complex,
    "str": str,
    "msort": lambda a: np.sort(a, axis=0),
    "in1d": lambda a, b, **kwargs: np.isin(a, b, **kwargs).ravel(),
    "trapz": getattr(np, "trapezoid", None),
}
# MXNet re-exports these at import, though NumPy moved them to numpy-financial in 2019.
_MOVED = ["mirr", "npv", "ppmt", "pv", "rate", "pmt", "fv", "nper", "ipmt", "irr"]


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
