"""What identifies a training beside its hyperparameters: layers, and a fresh optimiser."""

import keras

from d2lext.core.training.fingerprint import attributes, is_plain
from d2lext.tensorflow.module import flatten


def layers(model):
    """What each layer is, and which variables are trained."""
    found = {
        f"layers.{i}": (type(layer), _config(layer))
        for i, layer in enumerate(flatten(model))
    }
    trainable = [i for i, v in enumerate(model.weights) if v.trainable]
    return found | {"trainable variables": trainable}


def optimizer(optim):
    """The class and the options of an optimiser."""
    found = attributes("optimizer", optim)
    if not isinstance(optim, keras.optimizers.Optimizer):
        return found
    plain = {n: v for n, v in found.items() if is_plain(v) and "._" not in n}
    config = {f"optimizer.{n}": v for n, v in optim.get_config().items()}
    return {n: _unnamed(v) for n, v in (plain | config).items() if n[-5:] != ".name"}


def _config(layer):
    """The options of a layer without others in it, which show those of their own."""
    if flatten(layer)[1:] or not type(layer).__module__.startswith("keras."):
        return {"trainable": layer.trainable}
    config = _unnamed(layer.get_config())
    if isinstance(layer, keras.layers.Lambda):  # whose configuration has its bytes
        config["function"] = layer.function
    return config


def _unnamed(config):
    """A configuration without names, which keep counting in a process."""
    if isinstance(config, dict):
        return {k: _unnamed(v) for k, v in config.items() if k != "name"}
    return config
