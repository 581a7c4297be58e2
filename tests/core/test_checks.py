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
        ("arch", (), r"must hold at least one integer, each >= 1, got \(\)"),
        ("arch", (4, 0), r"must hold .*, each >= 1, got \(4, 0\)"),
    ],
)
def test_check_positive(name, value, rule):
    with pytest.raises(ValueError, match=f"^{name} {rule}"):
        checks.check_positive(**{name: value})
    checks.check_positive(growth_rate=np.int64(32), arch=[4, 4])


def test_check_image_size():
    checks.check_image_size((29, 40), 29, "DenseNet")
    with pytest.raises(ValueError, match="DenseNet needs .* 29x29 pixels, got 28x40"):
        checks.check_image_size((28, 40), 29, "DenseNet")
