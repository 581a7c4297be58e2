"""The network beside which the first chapter sets its own."""

from shared.benchmarks import needs


@needs("torch")
def test_parameters():
    """torchvision's has 1,000 classes, and three channels that its stem reads."""
    import torch

    from benchmarks.chapter1 import ResNet18
    from d2lext import torch as d2l

    model = ResNet18()
    with torch.no_grad():
        shape = model.net[:4](torch.zeros(2, 1, 32, 32)).shape
        assert shape == (2, 64, 8, 8)
        assert model(torch.zeros(2, 1, 96, 96)).shape == (2, 10)
    of_stem, of_classes = 2 * 64 * 7 * 7, 990 * (512 + 1)
    assert d2l.num_params(model) == 11_689_512 - of_stem - of_classes
