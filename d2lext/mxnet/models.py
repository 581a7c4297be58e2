"""Networks by name, their predictions, and what one training step computes."""

import numpy
from mxnet import autograd, np

from d2lext.core.checks import check_images
from d2lext.core.densenet import registry
from d2lext.core.densenet.parity import Step
from d2lext.mxnet.weights import check_built, named_tensors, set_weights, to_numpy

__all__ = ["create_model", "predict", "examine"]


def create_model(name, seed=0, **options):
    """The network `name` of `list_models()`, built, with the weights of `seed`.

    `options`: arch, growth_rate, num_channels, bottleneck_size, compression, dropout,
    memory_efficient, num_classes, in_channels, and those of training. The weights are
    equal in every framework.
    """
    from d2lext.mxnet.family import DenseNetBC

    network = registry.architecture(name, **options)
    model = DenseNetBC(**registry.model_options(name, options))
    size = network.min_image_size
    model(np.zeros((1, network.in_channels, size, size)))
    set_weights(model, registry.initial_weights(name, seed, options))
    return model


def predict(model, X, batch_size=128):
    """Logits (n, classes) of images X (n, c, h, w), both NumPy float32.

    The model runs in evaluation mode and does not change.
    """
    check_images(X)
    check_built(model)
    device = _device(model)
    with autograd.predict_mode():
        parts = (X[i : i + batch_size] for i in range(0, len(X), batch_size))
        logits = [model(np.array(part, ctx=device)).asnumpy() for part in parts]
    return numpy.concatenate(logits)


def examine(model, X, y):
    """What a training step on images X (n, c, h, w) and labels y (n,) computes.

    X and y are NumPy arrays. The model does not change.
    """
    check_images(X)
    device = _device(model)
    tensors = named_tensors(model)
    params = {name: p for name, p in tensors.items() if p.grad_req != "null"}
    before = {n: p.data().copy() for n, p in tensors.items() if n not in params}
    try:
        with autograd.record():
            logits = model(np.array(X, ctx=device))
            loss = model.loss(logits, np.array(y, ctx=device))
        loss.backward()
        return Step(
            to_numpy(logits),
            loss.item(),
            {name: to_numpy(p.grad()) for name, p in params.items()},
            {name: to_numpy(tensors[name].data()) for name in before},
        )
    finally:
        for name, statistic in before.items():
            tensors[name].set_data(statistic)


def _device(model):
    return next(iter(model.collect_params().values())).list_ctx()[0]
