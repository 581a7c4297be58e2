"""The layout in memory in which PyTorch's convolutions are fastest."""

import torch


def faster(model):
    """Keep the weights of a built model with channels last; what it computes follows.

    Convolutions are about twice as fast on CPUs then. Shapes stay (n, c, h, w).
    """
    return model.to(memory_format=torch.channels_last)
