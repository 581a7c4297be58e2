"""Averages over the batches of an epoch."""

import numpy as np
import pytest

from d2lext.core.training.averages import Averages


def test_averages_weigh_by_example():
    # 10,000 = 78 * 128 + 16 examples: the mean of the batches' means would be wrong.
    rng = np.random.default_rng(0)
    values = rng.random(10_000)
    averages = Averages()
    for start in range(0, 10_000, 128):
        batch = values[start : start + 128]
        averages.add({"acc": batch.mean()}, len(batch))
    assert averages.means()["acc"] == pytest.approx(values.mean(), abs=1e-12)
