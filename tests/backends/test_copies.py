"""Fitted models are copied and pickled without the training behind them."""

import copy
import pickle

import numpy as np
import pytest
from shared import frameworks
from shared.random_images import Data, images
from shared.selected import in_backends

# Keras' own, when it saves a variable.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

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


@pytest.fixture
def check(d2l, framework, fit):
    """A function that fits a model, copies it, and goes on with the copy."""
    X = frameworks.tensor(d2l, images((4, 1, 16, 16))[0])

    def predict(model):
        return d2l.numpy(framework.forward(model, X))

    def check(model, copied):
        trainer = fit(model)
        expected = predict(model)
        again = copied(model)
        assert model.trainer is trainer
        assert getattr(again, "trainer", None) is None
        assert np.array_equal(predict(again), expected)
        fit(again)
        assert not np.allclose(predict(again), expected)
        assert np.array_equal(predict(model), expected)

    return check


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_predicts_and_learns(framework, check, copied):
    check(framework.Linear(), copied)


@in_backends("torch", "mxnet", "tensorflow")  # in JAX the model has no part in it
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_of_a_compiled_network(d2l, check, copied):
    options = {"arch": (1,), "growth_rate": 4, "num_channels": 8, "lr": 0.05}
    check(d2l.create_model("densenet_d2l", **options), copied)


@in_backends("torch", "mxnet")  # elsewhere they are the framework's own variables
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_of_plain_arrays_learns(d2l, framework, copied):
    class Points(d2l.DataModule):
        def get_dataloader(self, train):
            X = np.arange(12, dtype=np.float32).reshape(4, 3) / 12
            return [(d2l.tensor(X), d2l.tensor(X.sum(1) + 1))]

    def arrays(model):
        found = [model.w, *model.biases, model.mean]
        return [np.array(d2l.numpy(array)) for array in found]

    model = framework.Scratch()
    d2l.Trainer(2).fit(model, Points())
    again, before = copied(model), arrays(model)
    assert all(map(np.array_equal, arrays(again), before))
    d2l.Trainer(2).fit(again, Points())
    assert not any(map(np.array_equal, arrays(again), before))
    assert all(map(np.array_equal, arrays(model), before))


def test_a_pickle_has_the_weights_alone(d2l, framework, fit):
    model = framework.Linear()
    fit(model)
    # MXNet adds the gradients.
    assert len(pickle.dumps(model)) < 60_000 + 8 * d2l.num_params(model)
