"""Constructor arguments as attributes, and methods added later."""

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


def test_add_to_class():
    class Model:
        pass

    model = Model()

    @add_to_class(Model)
    def double(self, x):
        return 2 * x

    assert model.double(3) == 6
    assert double(None, 4) == 8
