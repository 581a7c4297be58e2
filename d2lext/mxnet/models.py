"""Networks by name, their predictions, and what one training step computes."""

from mxnet import autograd, np

from d2lext.core import images
from d2lext.core.densenet import registry
from d2lext.core.densenet.parity import Step
from d2lext.core.densenet.weights import is_statistic
from d2lext.core.turns import turn
from d2lext.mxnet.module import in_channels
from d2lext.mxnet.weights import check_built, named_tensors, set_weights, to_numpy

__all__ = ["create_model", "predict", "examine"]


def create_model(name, *, seed=0, **options):
    """The network `name` of `list_models()`, built, with the weights of `seed`.

    `options`: arch, growth_rate, num_channels, bottleneck_size, compression, dropout,
    memory_efficient, num_classes, in_channels, and those of training; NumPy's numbers
    will do. The weights are equal in every framework.
    """
    from d2lext.mxnet.family import DenseNetBC

    network = registry.architecture(name, **options)
    model = DenseNetBC(**registry.model_options(name, options))
    registry.set_later(model, options)
    size = network.min_image_size
    model(np.zeros((1, network.in_channels, size, size)))
    set_weights(model, registry.initial_weights(name, seed, options))
    return model


def predict(model, X, batch_size=128):
    """Logits (n, classes) of images X (n, c, h, w), both NumPy float32.

    Other floats are converted, and so are lists and tensors; uint8 is divided by 255, with
    a warning. The model runs in evaluation mode and does not change; several threads may
    predict with it, also between the steps of one that trains it.
    """
    X = images.as_images(X)
    check_built(model)
    images.check(model, X.shape, in_channels)
    device = _device(model)

    def logits(part):
        return model(np.array(part, ctx=device)).asnumpy()

    with turn(model, shared=True), autograd.predict_mode():
        return images.in_batches(logits, X, batch_size)


def examine(model, X, y):
    """What a training step on images X (n, c, h, w) and labels y (n,) computes.

    X is as in `predict`. The model does not change.
    """
    X = images.as_images(X)
    tensors = named_tensors(model)
    images.check(model, X.shape, in_channels)
    y = images.as_labels(y, len(X), model.num_classes)
    device = _device(model)
    params = {name: p for name, p in tensors.items() if p.grad_req != "null"}
    statistics = {name: p for name, p in tensors.items() if is_statistic(name)}
    with turn(model):
        before = {name: p.data().copy() for name, p in statistics.items()}
        try:
            with autograd.record():
                logits = model(np.array(X, ctx=device))
                loss = model.loss(logits, np.array(y, ctx=device))
            arrays = [p.data() for p in params.values()]
            # Not `backward`, which writes into the model's. All frozen, there is no graph.
            grads = autograd.grad(loss, arrays) if params else ()
            return Step(
                to_numpy(logits),
                loss.item(),
                {n: to_numpy(g) for n, g in zip(params, grads, strict=True)},
                {name: to_numpy(p.data()) for name, p in statistics.items()},
            )
        finally:
            for name, statistic in before.items():
                statistics[name].set_data(statistic)


def _device(model):
    return next(iter(model.collect_params().values())).list_ctx()[0]
