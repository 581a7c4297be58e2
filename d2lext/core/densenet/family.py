"""The DenseNet Family, from chapters/02-family.md.

Written by `python build.py export`: edit the chapter, not this file.
"""


# The Family as a Table
def for_cifar(depth, growth_rate, kind=""):
    """The options of a network for CIFAR (Section 3 of the paper)."""
    in_pairs = "B" in kind
    num_convs = (depth - 4) // (6 if in_pairs else 3)
    return {
        "arch": (num_convs,) * 3,
        "growth_rate": growth_rate,
        "num_channels": 2 * growth_rate if kind == "BC" else 16,
        "bottleneck_size": 4 if in_pairs else None,
        "compression": 0.5 if "C" in kind else 1.0,
        "small_images": True,
        "num_classes": 10,
    }


VARIANTS = {
    # the network of the first chapter
    "densenet_d2l": {
        "arch": (4, 4, 4, 4),
        "bottleneck_size": None,
        "bias": True,
        "num_classes": 10,
        "in_channels": 1,
        "init": "xavier",
    },
    # for ImageNet: Table 1 of the paper; 161 is in its conference version
    "densenet121": {"arch": (6, 12, 24, 16)},
    "densenet169": {"arch": (6, 12, 32, 32)},
    "densenet201": {"arch": (6, 12, 48, 32)},
    "densenet264": {"arch": (6, 12, 64, 48)},
    "densenet161": {
        "arch": (6, 12, 36, 24),
        "growth_rate": 48,
        "num_channels": 96,
    },
    # for CIFAR: Table 2 of the paper
    "densenet_40_12": for_cifar(40, 12),
    "densenet_100_12": for_cifar(100, 12),
    "densenet_100_24": for_cifar(100, 24),
    # of kind C, Figure 4 has small networks with k = 12; two of these are ours
    "densenet_c_40_12": for_cifar(40, 12, "C"),
    "densenet_c_100_12": for_cifar(100, 12, "C"),
    "densenet_c_100_24": for_cifar(100, 24, "C"),
    # for CIFAR: Table 2 again
    "densenet_bc_100_12": for_cifar(100, 12, "BC"),
    "densenet_bc_250_24": for_cifar(250, 24, "BC"),
    "densenet_bc_190_40": for_cifar(190, 40, "BC"),
}
