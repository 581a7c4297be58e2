"""Checks of arguments: rule and value in the message."""

import numpy as np
import pytest

from d2lext.core import checks


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("growth_rate", 0, "must be an integer >= 1, got 0"),
        ("growth_rate", 2.5, "must be an integer >= 1, got 2.5"),
        ("growth_rate", True, "must be an integer >= 1, got True"),
        ("growth_rate", (8, 8), r"must be an integer >= 1, got \(8, 8\)"),
        ("arch", 4, r"must hold .*, got 4: pass a tuple such as \(6, 12, 24, 16\)"),
        (
            "arch",
            "6",
            "must hold at least one integer, each >= 1, got '6': pass a tuple",
        ),
        ("arch", (), r"must hold at least one integer, each >= 1, got \(\)"),
        ("arch", (4, 0), r"must hold .*, each >= 1, got \(4, 0\)"),
    ],
)
def test_check_positive(name, value, rule):
    with pytest.raises(ValueError, match=f"^{name} {rule}"):
        checks.check_positive(**{name: value})
    checks.check_positive(growth_rate=np.int64(32), arch=[4, np.int64(4)])


@pytest.mark.parametrize("value", [1, 0, "True", np.array([True, True]), None])
def test_check_choice(value):
    checks.check_choice((True, False), bias=True)
    with pytest.raises(ValueError, match="^bias must be True or False, got "):
        checks.check_choice((True, False), bias=value)
