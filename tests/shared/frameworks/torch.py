"""What tests need of PyTorch."""

import torch
from torch import nn

from d2lext import torch as d2l


class Linear(d2l.Classifier):
    """One dense layer behind dropout."""

    def __init__(self, lr=0.1, dropout=0.0):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.LazyLinear(10))


class Regression(d2l.Module):
    """A number from two inputs, by squared error and Adam."""

    def __init__(self):
        super().__init__()
        self.norm, self.dense = nn.LazyBatchNorm1d(), nn.LazyLinear(1)

    def forward(self, A, B):
        return self.dense(self.norm(torch.cat((A, B), dim=1)))

    def loss(self, y_hat, y):
        return ((y_hat.squeeze(1) - y) ** 2).mean()

    def configure_optimizers(self):
        return adam(self)


class Scratch(d2l.Module):
    """Regression by plain tensors: a weight, biases in a list, and a mean to keep."""

    def __init__(self, lr=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.w = torch.zeros(3, 1, requires_grad=True)
        self.biases = [torch.zeros(1, requires_grad=True)]
        self.mean = torch.zeros(3)

    def forward(self, X):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * X.mean(0)
        return (X - self.mean) @ self.w + self.biases[0]

    def loss(self, y_hat, y):
        return ((y_hat.squeeze(1) - y) ** 2).mean()

    def configure_optimizers(self):
        params = [self.w, *self.biases]
        return torch.optim.SGD(params, lr=self.lr, momentum=0.9)


def adam(model, lr=0.1):
    """The framework's own Adam for a model."""
    return torch.optim.Adam(model.parameters(), lr)


def seed(number):
    """Seed the framework's random numbers."""
    torch.manual_seed(number)


def drawn():
    """What the framework draws next from its common random numbers."""
    return torch.rand(()).item()


def first_output(block, X):
    """What a new block makes of its first input."""
    return block(X)


def forward(model, X, training=False):
    """The output of a built model."""
    model.train(training)
    return model(X)


def layers(model):
    """The layers of `net` of a built model, in evaluation mode."""
    return list(model.eval().net)


def norms(model):
    """(epsilon, share that stays of a statistic) of each batch normalization."""
    found = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    return [(norm.eps, 1 - norm.momentum) for norm in found]


def weights(model):
    """Copies of a built model's trainable parameters."""
    return [p.detach().numpy().copy() for p in model.parameters()]


def statistics(model):
    """Copies of the statistics of a built model's normalization."""
    found = [b for name, b in model.named_buffers() if "running" in name]
    return [b.numpy().copy() for b in found]


def loader(X, y):
    """The framework's own loader of shuffled batches."""
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(y))
    return torch.utils.data.DataLoader(data, 8, shuffle=True)


def gradient(function, x):
    """The gradient, by the array x, of the sum of `function(x)`."""
    x = d2l.tensor(x, requires_grad=True)
    function(x).sum().backward()
    return x.grad.numpy()


def loss(Y_hat, y, **options):
    """A classifier's loss of logits."""
    return d2l.Classifier().loss(Y_hat, y, **options)


def accuracy(Y_hat, y, **options):
    """A classifier's accuracy of logits."""
    return d2l.Classifier().accuracy(Y_hat, y, **options)


def out_of_memory():
    """The exception that the framework raises where memory is exhausted."""
    return torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


def default_conv(X, c_out, window):
    """A convolution with the framework's defaults: its weights and its output for X."""
    conv = nn.Conv2d(X.shape[1], c_out, window)
    return conv.weight.detach().numpy(), conv(X).detach().numpy()
