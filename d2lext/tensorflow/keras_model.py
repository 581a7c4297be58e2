"""Keras' Model as ours extend it: made with our settings, copied and saved as it is."""

import abc
import importlib
import inspect

import keras
import tensorflow as tf

from d2lext.core.names.exports import EXPORTED
from d2lext.tensorflow import changes, settings


class _Made(abc.ABCMeta):  # Python's for abstract classes, so that both can be mixed
    """Classes whose objects know their arguments, and which Keras finds by name."""

    def __init__(cls, name, bases, namespace, **options):
        super().__init__(name, bases, namespace, **options)
        keras.saving.register_keras_serializable(cls.__module__, cls.__qualname__)(cls)

    def __call__(cls, *args, **kwargs):
        with settings.ours():
            model = super().__call__(*args, **kwargs)
        # Bypasses Keras' tracking of attributes, here and below.
        vars(model)["_arguments"] = inspect.signature(cls).bind(*args, **kwargs)
        return model

    @property
    def __signature__(cls):
        _, *parameters = inspect.signature(cls.__init__).parameters.values()
        return inspect.Signature(parameters)


class KerasModel(keras.Model, metaclass=_Made):
    """A model for float32 and for images (n, h, w, c), whatever Keras' settings are.

    Its config holds the arguments of its constructor, and what was changed since. Keras
    saves, loads, clones, copies and pickles it without `custom_objects`, once the class has
    been imported.
    """

    min_image_size = 1  # pixels

    def __call__(self, *args, **kwargs):
        if self.built:
            return super().__call__(*args, **kwargs)
        vars(self)["_built_on"] = _described(args)
        with settings.ours():
            return super().__call__(*args, **kwargs)

    def build(self, X_shape):
        """Build the layers by a forward pass on zeros; None is any size.

        A call does the same: it lets the layers build themselves, as in PyTorch.
        """
        if not self._called:  # Keras notes a call before it asks for a build
            self.build_from_config({"inputs": [[[1, *X_shape[1:]], "float32"]]})

    def save(self, filepath, *args, **options):
        """Write the model to a file, from which `keras.saving.load_model` makes it again.

        Raises ValueError for HDF5, which only holds networks of Keras' own classes.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            name = type(self).__name__
            raise ValueError(
                f"a {name} must be saved in Keras' own format, which alone it loads again, "
                f"got {filepath}: call save('{name}.keras'), or "
                f"save_weights('{name}.weights.h5') for the weights"
            )
        super().save(filepath, *args, **options)

    def get_build_config(self):
        """The shapes and types of the first inputs; which layers are trainable."""
        if not self.built:
            return None
        trainable = [layer.trainable for layer in self._flatten_layers()]
        return {"inputs": self._built_on, "trainable": trainable}

    def build_from_config(self, config):
        """Build the layers by a forward pass on zeros."""
        self(*(X and self._zeros(*X) for X in config["inputs"]))
        layers = self._flatten_layers()  # a layer comes before those in it
        for layer, trainable in zip(layers, config.get("trainable", ()), strict=False):
            layer.trainable = trainable

    def get_config(self):
        """The arguments of the constructor, defaults included, and what changed since.

        That is `lr` and the like, and the options of layers, such as an activation or an
        epsilon. Raises ValueError if layers were added, removed or replaced.
        """
        self._arguments.apply_defaults()
        config = keras.saving.serialize_keras_object(self._arguments.arguments)
        return config | changes.since(self, config)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A new model made with the arguments that `get_config` returned."""
        config = dict(config)
        options = config.pop(changes.KEY, {})
        bound = inspect.signature(cls).bind_partial()
        if unknown := config.keys() - bound.signature.parameters.keys():
            raise TypeError(
                f"the config of {cls.__name__} must hold arguments of its constructor, "
                f"got {', '.join(sorted(unknown))}: save the model with its present class"
            )
        with keras.saving.custom_object_scope(custom_objects or {}):
            bound.arguments |= {name: _revived(value) for name, value in config.items()}
        model = cls(*bound.args, **bound.kwargs)
        changes.put(model, options)
        return model

    def export(
        self, filepath, format="tf_saved_model", input_signature=None, **options
    ):
        """Export the model for inference: a SavedModel takes images of any size.

        If the forward pass needs to know their size, it is that of the first input. Other
        formats and options are Keras'.
        """
        if input_signature is not None:  # an option that Keras 3.4 has not
            options["input_signature"] = input_signature
        if "input_signature" in options or format != "tf_saved_model" or not self.built:
            return super().export(filepath, format, **options)
        inputs = [X for X in self._built_on if X]
        try:
            self._export([_any_size(*X) for X in inputs], filepath, **options)
        # Where it meets a None in Python, or else a -1.
        except (TypeError, ValueError, tf.errors.InvalidArgumentError):
            one_size = [tf.TensorSpec((None, *n[1:]), t) for n, t in inputs]
            self._export(one_size, filepath, **options)

    def _export(self, signature, filepath, **options):
        archive = keras.export.ExportArchive()
        archive.track(self)
        serve = archive.add_endpoint("serve", self.__call__, signature)
        serve(*(self._zeros(*X) for X in self._built_on if X))  # a try
        archive.write_out(filepath, **options)

    def _zeros(self, shape, dtype):
        return tf.zeros(
            [max(1, self.min_image_size) if n is None else n for n in shape], dtype
        )


def _described(inputs):
    """The shape and type of each input, for JSON: of one example, if they are batches."""
    shapes = [list(getattr(X, "shape", ())) for X in inputs]
    if len({shape[0] for shape in shapes if shape}) == 1:
        shapes = [shape and [1, *shape[1:]] for shape in shapes]
    return [
        [shape, tf.as_dtype(X.dtype).name] if hasattr(X, "shape") else None
        for shape, X in zip(shapes, inputs, strict=True)
    ]


def _any_size(shape, dtype):
    is_images = len(shape) == 4
    return tf.TensorSpec(
        [None] * 3 + shape[3:] if is_images else [None, *shape[1:]], dtype
    )


def _revived(value):
    """An argument from JSON, which has no tuples and holds objects as their configs."""
    if isinstance(value, list | tuple):
        return tuple(map(_revived, value))
    if isinstance(value, dict) and not {"class_name", "config"} <= value.keys():
        return {key: _revived(item) for key, item in value.items()}
    return keras.saving.deserialize_keras_object(value)


class _OfChapter:
    """A class of a chapter, imported only once Keras finds its name in a file."""

    def __init__(self, module, name):
        self.module, self.name = module, name
        keras.saving.register_keras_serializable(module, name)(self)

    def from_config(self, config):
        return getattr(importlib.import_module(self.module), self.name).from_config(
            config
        )


for _name, _chapter in EXPORTED.items():
    _OfChapter(f"d2lext.tensorflow.{_chapter}", _name)
