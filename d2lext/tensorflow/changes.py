"""What was changed in a model since its constructor: the options of layers, `model.lr`."""

import random

import keras

from d2lext.core.densenet.formats.keras_layers import CHANGED as KEY
from d2lext.core.hyperparameters import LATER

_OTHERWISE = ("name", "trainable")  # which a copy gets in another way
_BEFORE_BUILDING = ("initializer", "seed")  # what these end with, a trainer may change


def since(model, config):
    """What a model's `config` lacks; `config` is that of its constructor's arguments.

    Raises ValueError if the model has other layers than its constructor makes.
    """
    state = random.getstate()  # from which Keras draws seeds
    try:
        twin = type(model).from_config(config)
        arguments = _arguments(model, twin, config)
        if arguments:
            twin = type(model).from_config(config | arguments)
    except Exception:  # loading the config will say it
        return {}
    finally:
        random.setstate(state)
    if found := _options(model, twin):
        put(twin, found)
        if lost := _options(model, twin):
            place, options = next(iter(lost.items()))
            raise _error(model, f"{', '.join(options)} of the layer {place}")
        arguments[KEY] = found
    later = {n: v for n, v in vars(model).items() if n in LATER and n not in config}
    return arguments | later


def put(model, options):
    """Let the layers have the changed `options`, which `since` returned."""
    for place, layer, _ in _pairs(model, model, model):
        if changed := options.get(place):
            other = type(layer).from_config(layer.get_config() | changed)
            for name in changed:
                name = "dtype_policy" if name == "dtype" else name
                setattr(layer, name, getattr(other, name))


def _arguments(model, twin, config):
    """Arguments that are attributes with another value now, such as `lr`."""
    changed = {}
    for name in config.keys() & getattr(model, "hparams", {}).keys():
        now, made = (_config(getattr(m, name, None)) for m in (model, twin))
        # An attribute that is not the argument is made from it.
        if now != made == _config(twin.hparams[name]):
            changed[name] = now
    return changed


def _options(model, twin):
    """{place: {option: value}} of layers that differ from those of the `twin`."""
    found = {}
    for place, layer, made in _pairs(model, model, twin):
        try:
            now, before = layer.get_config(), made.get_config()
        except NotImplementedError:  # a reader's, which knows no options
            continue
        differing = {
            name: value
            for name, value in now.items()
            if name not in _OTHERWISE
            and not name.endswith(_BEFORE_BUILDING)
            and _config(value) != _config(before.get(name))
        }
        if differing:
            found[place] = differing
    return found


def _pairs(model, layer, made, place="net"):
    """(place, layer, layer made) of each layer without layers in it."""
    if _kind(layer) != _kind(made):
        raise _error(model, f"{_kind(layer)} for {_kind(made)}")
    parts, of_made = _parts(layer), _parts(made)
    # A layer that is not a model may make further ones when it is built.
    more = [_kind(part) for part in parts[len(of_made) :]]
    if len(parts) < len(of_made) or (more and isinstance(layer, keras.Model)):
        raise _error(model, ", ".join(more) + " as well" if more else "fewer")
    if not of_made and not isinstance(layer, keras.Model):
        yield place, layer, made
    for i, (part, other) in enumerate(zip(parts, of_made, strict=False)):
        yield from _pairs(model, part, other, f"{place}.{i}")


def _parts(layer):
    return layer.layers if isinstance(layer, keras.Model) else layer._layers


def _kind(layer):
    # By name: a notebook may define the class again.
    return type(layer).__qualname__


def _config(value):
    return _alone(keras.saving.serialize_keras_object(value))


def _alone(config):
    """A config without the numbers that Keras gives objects while it saves a model."""
    if isinstance(config, dict):
        parts = config.items()
        return {k: _alone(v) for k, v in parts if k != "shared_object_id"}
    return list(map(_alone, config)) if isinstance(config, list | tuple) else config


def _error(model, got):
    return ValueError(
        f"to be saved or copied, {type(model).__name__} must have the layers that its "
        f"constructor makes, got {got}: change them in the constructor of a subclass, or "
        "put the model in a keras.Sequential with what is to follow it"
    )
