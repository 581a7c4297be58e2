"""Networks by name, their predictions, and what one training step computes."""

import contextlib

import torch

from d2lext.core import images
from d2lext.core.densenet import registry
from d2lext.core.densenet.parity import Step
from d2lext.core.densenet.weights import is_statistic
from d2lext.torch import accelerators
from d2lext.torch.module import in_channels, in_mode
from d2lext.torch.weights import check_built, named_tensors, set_weights, to_numpy

__all__ = ["create_model", "predict", "examine"]


def create_model(name, *, seed=0, **options):
    """The network `name` of `list_models()`, built, with the weights of `seed`.

    `options`: arch, growth_rate, num_channels, bottleneck_size, compression, dropout,
    memory_efficient, num_classes, in_channels, and those of training; NumPy's numbers
    will do. The weights are equal in every framework.
    """
    from d2lext.torch.family import DenseNetBC

    network = registry.architecture(name, **options)
    model = DenseNetBC(**registry.model_options(name, options))
    registry.set_later(model, options)
    size = network.min_image_size
    model.eval()
    with torch.no_grad():
        model(torch.zeros(1, network.in_channels, size, size))
    model.train()
    set_weights(model, registry.initial_weights(name, seed, options))
    return model


def predict(model, X, batch_size=128):
    """Logits (n, classes) of images X (n, c, h, w), both NumPy float32.

    Other floats are converted, and so are lists and tensors; uint8 is divided by 255, with
    a warning. The model runs in evaluation mode, in its own type, and does not change;
    several threads may predict with it, also between the steps of one that trains it.
    """
    X = images.as_images(X)
    check_built(model)
    images.check(model, X.shape, in_channels)
    like = _like(model)

    def logits(part):
        return to_numpy(model(torch.tensor(part, **like)))

    with torch.no_grad(), _in_own_type(like["device"]), in_mode(model, training=False):
        return images.in_batches(logits, X, batch_size)


def examine(model, X, y):
    """What a training step on images X (n, c, h, w) and labels y (n,) computes.

    X is as in `predict`. The model does not change.
    """
    X = images.as_images(X)
    tensors = named_tensors(model)
    images.check(model, X.shape, in_channels)
    y = images.as_labels(y, len(X), model.num_classes)
    params = {name: t for name, t in tensors.items() if t.requires_grad}
    like = _like(model)
    gpus = [] if like["device"].type == "cpu" else [like["device"]]
    # Dropout draws the same again: the generators are put back.
    with (
        torch.enable_grad(),
        _in_own_type(like["device"]),
        in_mode(model, training=True),
        accelerators.random_kept(gpus),
    ):
        before = [(buffer, buffer.clone()) for buffer in model.buffers()]
        try:
            logits = model(torch.tensor(X, **like))
            loss = model.loss(logits, torch.tensor(y, device=like["device"]))
            # With all of it frozen, there is no graph.
            grads = torch.autograd.grad(loss, list(params.values())) if params else ()
            return Step(
                to_numpy(logits),
                loss.item(),
                {n: to_numpy(g) for n, g in zip(params, grads, strict=True)},
                {n: to_numpy(tensors[n]) for n in filter(is_statistic, tensors)},
            )
        finally:
            for buffer, value in before:
                buffer.copy_(value)


@contextlib.contextmanager
def _in_own_type(device):
    """A context in which a model computes in its own type, whatever is around the call."""
    with accelerators.autocast(device), accelerators.in_fp32(device):
        yield


def _like(model):
    """The options of a tensor of the model's type, on its device."""
    param = next(model.parameters())
    return {"dtype": param.dtype, "device": param.device}
