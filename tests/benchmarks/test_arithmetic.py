"""What a step has to compute, counted by hand and by PyTorch."""

import pytest
from shared.benchmarks import needs
from shared.selected import BACKENDS

from benchmarks import arithmetic
from d2lext.core.densenet.registry import architecture

D2L = architecture("densenet_d2l")


def test_flop_of_the_step():
    cost = arithmetic.step_cost(D2L, batch=128, size=(96, 96))
    assert round(cost.flop / 1e9, 1) == 97.3
    assert round(cost.forward_flop / 1e9, 1) == 33.0
    assert round(cost.backward_flop / 1e9, 1) == 64.2
    assert cost.params == 758_226


def test_pooling_first_saves_three_quarters_of_the_transitions():
    shape = {"batch": 128, "size": (96, 96)}
    paper = arithmetic.ops(D2L, **shape)
    ours = arithmetic.ops(D2L, **shape, pool_first=True)
    # 192 -> 96 on 24x24 pixels, 224 -> 112 on 12x12, 240 -> 120 on 6x6
    pixels = 192 * 96 * 24**2 + 224 * 112 * 12**2 + 240 * 120 * 6**2
    saved = sum(op.flop for op in paper) - sum(op.flop for op in ours)
    assert saved == 2 * 128 * pixels * 3 // 4
    assert [op.values for op in paper if op.kind == "conv"] != [
        op.values for op in ours if op.kind == "conv"
    ]


def test_values_of_the_first_layers():
    first, norm, pool, second, conv, *_ = arithmetic.ops(D2L, 2, (96, 96))
    assert first.values == norm.values == 2 * 48 * 48 * 64
    assert pool.values == second.values == 2 * 24 * 24 * 64
    assert conv.values == 2 * 24 * 24 * 32


def test_bytes_halve_with_their_size_but_not_the_parameters():
    cost = arithmetic.Cost(1, 2, activations=1000, params=10)
    assert cost.bytes(4) == 5 * 1000 * 4 + 5 * 10 * 4
    assert cost.bytes(2) == 5 * 1000 * 2 + 5 * 10 * 4


@needs("torch")
@pytest.mark.skipif(bool(BACKENDS) and "torch" not in BACKENDS, reason="not selected")
@pytest.mark.parametrize(
    ("name", "batch", "size"),
    [
        ("densenet_d2l", 2, (96, 96)),
        ("densenet_d2l", 1, (63, 80)),
        ("densenet_bc_100_12", 1, (32, 32)),
    ],
)
def test_flop_as_pytorch_counts_them(name, batch, size):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from d2lext import torch as d2l

    stock_order = name == "densenet_d2l"  # the paper's: convolution, then pooling
    if stock_order:
        from benchmarks.stock import torch as stock

        model = stock.DenseNet()
        model(torch.zeros(1, 1, 96, 96))
    else:
        model = d2l.create_model(name)
    network = architecture(name)
    X = torch.zeros(batch, network.in_channels, *size)
    counter = FlopCounterMode(display=False)
    with counter:
        model(X).sum().backward()
    cost = arithmetic.step_cost(network, batch, size, pool_first=not stock_order)
    assert counter.get_total_flops() == cost.flop
