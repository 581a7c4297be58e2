"""What tests need of MXNet."""

import contextlib

from d2lext import mxnet as d2l  # first: it prepares what MXNet reads

# isort: split
from mxnet import MXNetError, autograd, gluon, np, npx, util
from mxnet.gluon import nn


@contextlib.contextmanager
def older_interface():
    """Within, MXNet is as before its NumPy interface, which its model zoo does not know."""
    npx.reset_np()
    try:
        yield
    finally:
        npx.set_np()
        util.set_np_shape(2)  # in all threads, as d2lext has it


class Linear(d2l.Classifier):
    """One dense layer behind dropout."""

    def __init__(self, lr=0.1, dropout=0.0):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential()  # cannot be compiled as a whole
        self.net.add(nn.Flatten(), nn.Dropout(dropout), nn.Dense(10))
        self.net.initialize()


class Regression(d2l.Module):
    """A number from two inputs, by squared error and Adam."""

    def __init__(self):
        super().__init__()
        self.norm, self.dense = nn.BatchNorm(), nn.Dense(1)
        self.initialize()

    def forward(self, A, B):
        return self.dense(self.norm(np.concatenate((A, B), axis=1)))

    def loss(self, y_hat, y):
        return ((y_hat.squeeze(1) - y) ** 2).mean()

    def configure_optimizers(self):
        return adam(self)


class Scratch(d2l.Module):
    """Regression by plain arrays: a weight, biases in a list, and a mean to keep."""

    def __init__(self, lr=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.w = np.zeros((3, 1))
        self.biases = [np.zeros(1)]
        self.mean = np.zeros(3)
        for array in (self.w, *self.biases):
            array.attach_grad()

    def forward(self, X):
        if autograd.is_training():
            with autograd.pause():
                self.mean = 0.9 * self.mean + 0.1 * X.mean(axis=0)
        return np.dot(X - self.mean, self.w) + self.biases[0]

    def loss(self, y_hat, y):
        return ((y_hat.squeeze(1) - y) ** 2).mean()

    def configure_optimizers(self):
        return d2l.SGD([self.w, *self.biases], self.lr)


def adam(model, lr=0.1):
    """The framework's own Adam for a model."""
    options = {"learning_rate": lr}
    return gluon.Trainer(model.parameters(), "adam", options, kvstore=None)


def seed(number):
    """Seed the framework's random numbers."""
    npx.random.seed(number)


def drawn():
    """What the framework draws next from its common random numbers."""
    return float(np.random.rand())


def first_output(block, X):
    """What a new block makes of its first input."""
    block.initialize(force_reinit=True)
    return block(X)


def forward(model, X, training=False):
    """The output of a built model."""
    with autograd.train_mode() if training else autograd.predict_mode():
        return model(X)


def layers(model):
    """The layers of `net` of a built model, in evaluation mode."""
    return list(model.net)


def every(model, kind):
    """The layers of a `kind` at any depth, in order."""
    found = []
    model.apply(lambda child: found.append(child) if isinstance(child, kind) else None)
    return found


def norms(model):
    """(epsilon, share that stays of a statistic) of each batch normalization."""
    options = [norm._kwargs for norm in every(model, nn.BatchNorm)]
    return [(option["eps"], option["momentum"]) for option in options]


def weights(model):
    """Copies of a built model's trainable parameters."""
    return [p.data().asnumpy() for p in _parameters(model, trainable=True).values()]


def statistics(model):
    """Copies of the statistics of a built model's normalization."""
    return [p.data().asnumpy() for p in _parameters(model, trainable=False).values()]


def _parameters(model, trainable):
    params = model.collect_params().items()
    return {name: p for name, p in params if (p.grad_req != "null") == trainable}


def loader(X, y):
    """The framework's own loader of shuffled batches."""
    data = gluon.data.ArrayDataset(np.array(X), np.array(y))
    return gluon.data.DataLoader(data, 8, shuffle=True)


def gradient(function, x):
    """The gradient, by the array x, of the sum of `function(x)`."""
    x = d2l.tensor(x)
    x.attach_grad()
    with autograd.record():
        total = function(x).sum()
    total.backward()
    return x.grad.asnumpy()


def loss(Y_hat, y, **options):
    """A classifier's loss of logits."""
    return d2l.Classifier().loss(Y_hat, y, **options)


def accuracy(Y_hat, y, **options):
    """A classifier's accuracy of logits."""
    return d2l.Classifier().accuracy(Y_hat, y, **options)


def out_of_memory():
    """The exception that the framework raises where memory is exhausted."""
    return MXNetError("cudaMalloc retry failed: out of memory")


def default_conv(X, c_out, window):
    """A convolution with the framework's defaults: its weights and its output for X."""
    conv = nn.Conv2D(c_out, window)
    conv.initialize()
    Y = conv(X).asnumpy()
    return conv.weight.data().asnumpy(), Y
