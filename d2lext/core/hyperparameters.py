"""Constructor arguments as attributes, and methods added to a class later."""

import inspect


def add_to_class(Class):
    """Register the decorated function as a method of `Class`.

    A chapter can so build a class up step by step, with prose in between.
    """

    def wrapper(obj):
        setattr(Class, obj.__name__, obj)
        return obj

    return wrapper


class HyperParameters:
    """Base of classes that keep the arguments of their constructor."""

    def save_hyperparameters(self, ignore=()):
        """Store the caller's arguments as attributes and in `self.hparams`.

        Call it in `__init__`. Names in `ignore`, `self` and names that start
        with an underscore are left out.
        """
        frame = inspect.currentframe().f_back
        _, _, _, local_vars = inspect.getargvalues(frame)
        left_out = {*ignore, "self"}
        self.hparams = {
            name: value
            for name, value in local_vars.items()
            if name not in left_out and not name.startswith("_")
        }
        for name, value in self.hparams.items():
            setattr(self, name, value)
