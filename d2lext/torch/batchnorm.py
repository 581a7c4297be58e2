"""How many values batch normalization averages: a single one leaves nothing to learn."""

import torch
from torch.nn.modules.batchnorm import _BatchNorm


def values_per_channel(model, inputs, frozen=()):
    """The number of values per channel in each batch normalization, for training.

    `inputs` is a tuple; the layers `frozen` average nothing. The model must be built, and
    does not change.
    """
    numbers = []

    def note(_, args):
        numbers.append(args[0].numel() // args[0].shape[1])

    layers = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    layers = [layer for layer in layers if layer not in frozen]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    model.eval()  # leaves statistics alone
    try:
        with torch.no_grad():
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return numbers
