"""Fitted models are copied and pickled without the training behind them."""

import copy
import pickle

import numpy as np
import pytest
from shared.random_images import Data, images

COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


class Large(Data):
    """With 8 MB that no model needs."""

    def __init__(self, d2l):
        super().__init__(d2l)
        self.large = np.random.default_rng(0).random(1_000_000)


@pytest.fixture(scope="module")
def fit(d2l):
    def fit(model):
        trainer = d2l.Trainer(1, precision="fp32")
        trainer.fit(model, Large(d2l))
        return trainer

    return fit


@pytest.fixture(scope="module")
def fitted(d2l, fit):
    options = {"arch": (1, 1), "growth_rate": 4, "num_channels": 8, "lr": 0.05}
    model = d2l.create_model("densenet_d2l", **options)
    trainer = fit(model)
    assert model.trainer is trainer
    return model


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_predicts_and_learns(d2l, fitted, fit, copied):
    X, _ = images((4, 1, 16, 16))
    expected = d2l.predict(fitted, X)
    again = copied(fitted)
    assert getattr(again, "trainer", None) is None
    assert fitted.trainer is not None
    assert np.array_equal(d2l.predict(again, X), expected)
    fit(again)
    assert not np.allclose(d2l.predict(again, X), expected)
    assert np.array_equal(d2l.predict(fitted, X), expected)
    fit(copied(again))


def test_a_pickle_has_the_weights_alone(d2l, fitted):
    content = pickle.dumps(fitted)
    assert len(content) < 100_000 + 8 * d2l.num_params(fitted)
