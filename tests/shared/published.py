"""The networks of the registry as the paper and torchvision describe them.

Counts are those of torchvision's documentation, of the paper's Table 2, and of sums that
this file writes down without the library.
"""

import math
import re

from d2lext.core.densenet.registry import architecture

PUBLISHED = {
    "densenet_d2l": 758_226,  # the first chapter's sum
    "densenet121": 7_978_856,  # torchvision's
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "densenet161": 28_681_000,
}
# Those of which test_pretrained.py builds each in every framework, to load weights.
LOADED = "densenet121", "densenet169", "densenet201"
TABLE_2 = {  # of the paper, in millions
    "densenet_40_12": 1.0,
    "densenet_100_12": 7.0,
    "densenet_100_24": 27.2,
    "densenet_bc_100_12": 0.8,
    "densenet_bc_250_24": 15.3,
    "densenet_bc_190_40": 25.6,
}
# Blocks, growth rate k, channels of the stem, whether of kind B, share of kind C.
NUMBERS = {
    "densenet121": ((6, 12, 24, 16), 32, 64, True, 0.5),
    "densenet169": ((6, 12, 32, 32), 32, 64, True, 0.5),
    "densenet201": ((6, 12, 48, 32), 32, 64, True, 0.5),
    "densenet264": ((6, 12, 64, 48), 32, 64, True, 0.5),
    "densenet161": ((6, 12, 36, 24), 48, 96, True, 0.5),
    "densenet_40_12": ((12, 12, 12), 12, 16, False, 1),
    "densenet_100_12": ((32, 32, 32), 12, 16, False, 1),
    "densenet_100_24": ((32, 32, 32), 24, 16, False, 1),
    "densenet_c_40_12": ((12, 12, 12), 12, 16, False, 0.5),
    "densenet_c_100_12": ((32, 32, 32), 12, 16, False, 0.5),
    "densenet_c_100_24": ((32, 32, 32), 24, 16, False, 0.5),
    "densenet_bc_100_12": ((16, 16, 16), 12, 24, True, 0.5),
    "densenet_bc_250_24": ((41, 41, 41), 24, 48, True, 0.5),
    "densenet_bc_190_40": ((31, 31, 31), 40, 80, True, 0.5),
}


def count(blocks, k, c, bottleneck, share):
    """The parameters of a network of the paper: closed sums over each block.

    Layer i of n in a block reads c + i k channels, together n c + k n (n - 1) / 2. For
    each of them it has 2 numbers of normalization and 9 k of a convolution; with a
    bottleneck 4 k of a convolution, and 2 + 9 k for each of its 4 k channels.
    """
    imagenet = len(blocks) == 4
    classes = 1000 if imagenet else 10
    total = 3 * 49 * c + 2 * c if imagenet else 3 * 9 * c
    for i, n in enumerate(blocks):
        read = n * c + k * n * (n - 1) // 2
        if bottleneck:
            total += read * (2 + 4 * k) + n * 4 * k * (2 + 9 * k)
        else:
            total += read * (2 + 9 * k)
        c += n * k
        if i < len(blocks) - 1:
            kept = math.floor(c * share)
            total += 2 * c + c * kept
            c = kept
    return total + 2 * c + (c + 1) * classes


def expected_count(name):
    """The number of parameters of the network `name`, published or counted here."""
    return PUBLISHED.get(name) or count(*NUMBERS[name])


def shapes(weights):
    """The shape of each tensor by its name."""
    return {name: array.shape for name, array in weights.items()}


def check_network(d2l, name, model):
    """The network `name`, as a framework has built it, is the published one."""
    assert d2l.num_params(model) == expected_count(name)
    assert d2l.architecture_of(model) == architecture(name)
    weights = d2l.get_weights(model)
    # As many as the model's own, so that none is unnamed: no convolution has a bias.
    trained = [a.size for n, a in weights.items() if "running_" not in n]
    assert sum(trained) == expected_count(name)
    biases = [n for n in weights if re.search(r"conv\d?\.bias$", n)]
    assert bool(biases) == (name == "densenet_d2l")
    if name == "densenet121":
        check_the_paper(shapes(weights))


def check_the_paper(found):
    """The channels of densenet121 as Table 1 of the paper has them."""
    assert found["features.conv0.weight"] == (64, 3, 7, 7)
    read = 64
    for block, num_layers in enumerate((6, 12, 24, 16), 1):
        for layer in range(1, num_layers + 1):
            prefix = f"features.denseblock{block}.denselayer{layer}"
            assert found[f"{prefix}.norm1.weight"] == (read,)
            assert found[f"{prefix}.conv1.weight"] == (4 * 32, read, 1, 1)
            assert found[f"{prefix}.conv2.weight"] == (32, 4 * 32, 3, 3)
            read += 32
        prefix = f"features.denseblock{block}.denselayer{num_layers + 1}"
        assert f"{prefix}.norm1.weight" not in found
        leaving = {1: 64 + 6 * 32, 2: 512, 3: 1024, 4: 1024}[block]
        assert read == leaving
        if block < 4:
            halved = {1: 128, 2: 256, 3: 512}[block]
            transition = f"features.transition{block}.conv.weight"
            assert found[transition] == (halved, leaving, 1, 1)
            read = halved
    assert found["features.norm5.weight"] == (1024,)
    assert found["classifier.weight"] == (1000, 1024)
