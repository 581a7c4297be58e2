"""Constructor arguments as attributes, and methods added later."""

import json

import numpy as np

from d2lext.core.hyperparameters import HyperParameters, add_to_class


def test_save_hyperparameters():
    class Model(HyperParameters):
        def __init__(self, a, b=2, c=3):
            _hidden = 4
            self.save_hyperparameters(ignore=["c"])

    model = Model(1)
    assert model.hparams == {"a": 1, "b": 2}
    assert (model.a, model.b) == (1, 2)
    assert not hasattr(model, "c")


def test_numbers_of_numpy_become_pythons():
    class Options(HyperParameters):
        def __init__(self, a, b, c, d, e, f):
            self.save_hyperparameters()

    array = np.arange(3)
    model = Options(
        np.int64(16),
        np.float32(0.1),  # that is 0.100000001490116...
        (np.int32(2), 1.5),
        [1, np.bool_(True)],
        [array],
        np.str_("he"),
    )
    assert model.e[0] is array  # data stays what it is
    del model.hparams["e"]
    assert json.loads(json.dumps(model.hparams)) == {
        "a": 16, "b": 0.1, "c": [2, 1.5], "d": [1, True], "f": "he"
    }  # fmt: skip
    assert (model.a, model.c) == (16, (2, 1.5))
    assert type(model.a) is int


def test_add_to_class():
    class Model:
        pass

    model = Model()

    @add_to_class(Model)
    def double(self, x):
        return 2 * x

    assert model.double(3) == 6
    assert double(None, 4) == 8
