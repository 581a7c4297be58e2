"""The PyTorch backend and the chapter's network in it."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch import nn  # noqa: E402  after the skip

from d2lext import torch as d2l  # noqa: E402
from d2lext.core.machine import processor  # noqa: E402


class Toy(d2l.DataModule):
    """Random images of 32x32 pixels whose class can be learned."""

    def __init__(self, num_batches=2, batch_size=8):
        super().__init__()
        self.save_hyperparameters()

    def get_dataloader(self, train):
        generator = torch.Generator().manual_seed(int(train))
        return [
            (
                torch.rand(self.batch_size, 1, 32, 32, generator=generator),
                torch.randint(10, (self.batch_size,), generator=generator),
            )
            for _ in range(self.num_batches)
        ]


def small(**kwargs):
    return d2l.DenseNet(num_channels=8, growth_rate=4, arch=(2, 2, 2, 2), **kwargs)


def fitted(seed=0, **kwargs):
    model = small(lr=0.1, **kwargs)
    trainer = d2l.Trainer(max_epochs=1, seed=seed)
    trainer.fit(model, Toy())
    return model, trainer


def test_growth():
    X = torch.rand(4, 3, 8, 8)
    Y = d2l.DenseBlock(2, 10)(X)
    assert Y.shape == (4, 23, 8, 8)
    assert torch.equal(Y[:, :3], X), "the input comes first, unaltered"
    assert d2l.ConvBlock(10)(X).shape == (4, 10, 8, 8), "new features alone"
    assert d2l.TransitionBlock(10)(Y).shape == (4, 10, 4, 4)


def test_parameters():
    model = d2l.DenseNet()
    model(torch.rand(2, 1, 32, 32))
    assert d2l.num_params(model) == 758_226


def test_channels_accumulate():
    model = d2l.DenseNet()
    model(torch.rand(2, 1, 32, 32))
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    transitions = [m.out_channels for m in convs if m.kernel_size == (1, 1)]
    assert transitions == [96, 112, 120]
    [linear] = [m for m in model.modules() if isinstance(m, nn.Linear)]
    assert linear.in_features == 248


def test_layer_summary_changes_nothing(capsys):
    model = small()
    model.layer_summary((1, 1, 96, 96))
    assert capsys.readouterr().out.splitlines()[-1].split() == [
        "Linear",
        "(1,",
        "10)",
    ]
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert model.training
    assert all(m.num_batches_tracked == 0 for m in norms)


def test_initialisation_is_xavier_although_layers_are_lazy():
    model = small()
    model(torch.rand(2, 1, 32, 32))
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            fan_in = layer.weight[0].numel()
            fan_out = layer.weight.numel() // layer.weight.shape[1]
            bound = (6 / (fan_in + fan_out)) ** 0.5
            assert layer.weight.abs().max() <= bound
            if layer.weight.numel() > 100:
                assert layer.weight.std().item() == pytest.approx(
                    bound / 3**0.5, rel=0.2
                )
            assert not layer.bias.any()


def test_lazy_layers_are_initialised_once():
    model = small()
    X = torch.rand(2, 1, 32, 32)
    model(X)
    before = [p.clone() for p in model.parameters()]
    model(X)
    assert all(map(torch.equal, before, model.parameters()))


def test_batch_normalization_trains_with_the_stated_numbers():
    model, _ = fitted()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 1 + 8 + 3 + 1
    for norm in norms:
        assert (norm.eps, norm.momentum) == (1e-5, 0.1)
        assert norm.num_batches_tracked == 2
        assert norm.running_mean.any()
    X = torch.rand(2, 1, 32, 32)
    assert not torch.allclose(model.train()(X), model.eval()(X))


def test_every_parameter_learns():
    model = small()
    X, y = torch.rand(4, 1, 32, 32), torch.arange(4)
    model.loss(model(X), y).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_equal_seeds_give_equal_runs():
    torch.rand(1)  # whatever came before
    first, trainer = fitted()
    second, again = fitted()
    other, _ = fitted(seed=1)
    assert all(map(torch.equal, first.parameters(), second.parameters()))
    assert not all(map(torch.equal, first.parameters(), other.parameters()))
    losses = [t.history[0]["train_loss"] for t in (trainer, again)]
    assert losses[0] == losses[1]


def test_history_and_what_is_printed(capsys):
    _, trainer = fitted()
    [entry] = trainer.history
    keys = {
        "epoch",
        "train_loss",
        "val_loss",
        "val_acc",
        "train_seconds",
        "val_seconds",
    }
    assert set(entry) == keys
    said = capsys.readouterr().out
    for part in (
        "D2LEXT_FAST",
        "CPU",
        "seed 0",
        "; bf16 (auto), not compiled"
        if processor.has_bfloat16()
        else "; fp32 (auto), not compiled",
        f"torch {torch.__version__}",
    ):
        assert part in said


def test_a_model_of_ones_own():
    class Softmax(d2l.Classifier):
        def __init__(self, lr):
            super().__init__()
            self.save_hyperparameters()
            self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))

        def training_step(self, batch):
            double = 2 * self.loss(self(*batch[:-1]), batch[-1])
            self.plot("double", double, train=True)
            return double

    trainer = d2l.Trainer(max_epochs=1, gradient_clip_val=1)
    trainer.fit(Softmax(lr=0.1), Toy())
    assert trainer.history[0]["train_double"] > 0


def test_training_overfits_one_batch():
    torch.manual_seed(0)
    model = small()
    X, y = torch.rand(16, 1, 32, 32), torch.arange(16) % 10
    model(X)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        loss = model.loss(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"growth_rate": 0}, "growth_rate must be an integer >= 1, got 0"),
        ({"arch": ()}, "arch must hold at least one integer"),
        ({"num_channels": -1}, "num_channels must be an integer >= 1, got -1"),
    ],
)
def test_bad_hyperparameters(kwargs, message):
    with pytest.raises(ValueError, match=message):
        d2l.DenseNet(**kwargs)


def test_an_image_that_is_too_small():
    model = small()
    with pytest.raises(ValueError, match="at least 29x29 pixels, got 28x28"):
        model(torch.rand(2, 1, 28, 28))
    assert model(torch.rand(2, 1, 29, 29)).shape == (2, 10)


def test_clipping():
    model = small()
    X, y = torch.rand(4, 1, 32, 32), torch.arange(4)
    (1000 * model.loss(model(X), y)).backward()
    d2l.Trainer(max_epochs=1).clip_gradients(0.5, model)
    norm = sum((p.grad**2).sum() for p in model.parameters()) ** 0.5
    assert norm.item() == pytest.approx(0.5, rel=1e-3)
