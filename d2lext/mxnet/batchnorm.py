"""How many values batch normalization averages: a single one leaves nothing to learn."""

from mxnet.gluon import nn


def values_per_channel(model, inputs):
    """The number of values per channel in each batch normalization, for training.

    `inputs` is a tuple. The model must be built. It is no longer hybridized afterwards.
    """
    numbers, hooks = [], []

    def note(layer, args):
        numbers.append(args[0].size // args[0].shape[layer._kwargs["axis"]])

    def observe(block):
        if isinstance(block, nn.BatchNorm) and not block._kwargs["use_global_stats"]:
            hooks.append(block.register_forward_pre_hook(note))

    model.hybridize(False)  # compiled blocks do not call those within
    model.apply(observe)
    try:
        model(*inputs)  # outside of `record`, so statistics stay
    finally:
        for hook in hooks:
            hook.detach()
    return numbers
