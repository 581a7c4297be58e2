"""d2l's own models, which d2lext does not define, with our trainer and its data sets.

The oracles are arithmetic: a least-squares solution, NumPy's steps, a text without
surprises.
"""

import signal
import types

import numpy as np
import pytest
from shared.frameworks import tensor
from shared.random_images import Data
from shared.selected import in_backends

pytestmark = pytest.mark.usefixtures("whole_runs")


@pytest.fixture(autouse=True)
def installed():
    pytest.importorskip("d2l", reason="d2l is not installed")


def regression(d2l, framework, scratch=False, lr=0.1):
    """A model of d2l and synthetic data for it."""
    framework.seed(0)
    w = d2l.tensor([2.0, -3.4])
    data = d2l.SyntheticRegressionData(w=w, b=4.2, num_train=320, num_val=32)
    model = d2l.LinearRegressionScratch if scratch else d2l.LinearRegression
    return model(*((2,) if scratch else ()), lr=lr), data


def line(d2l, model, scratch=False):
    """The three numbers of a fitted line."""
    if d2l.__name__.endswith("jax"):
        params = model.variables["params"]
        params = params.values() if scratch else params["net"].values()
        parts = sorted(params, key=np.size, reverse=True)
    else:
        parts = (model.w, model.b) if scratch else model.get_w_b()
    arrays = [p if isinstance(p, np.ndarray) else d2l.numpy(p) for p in parts]
    return np.concatenate([np.ravel(array) for array in arrays])


def test_a_schedule_for_an_optimizer_from_scratch(d2l, framework):
    lines = []
    for lr, schedule in ((0.1, lambda t: 0.5), (0.05, None)):
        model, data = regression(d2l, framework, scratch=True, lr=lr)
        d2l.Trainer(max_epochs=1, schedule=schedule).fit(model, data)
        lines.append(line(d2l, model, scratch=True))
    np.testing.assert_allclose(*lines, rtol=1e-5)


@pytest.mark.parametrize("scratch", [False, True])
def test_linear_regression_finds_the_least_squares(d2l, framework, scratch):
    model, data = regression(d2l, framework, scratch)
    trainer = d2l.Trainer(max_epochs=8, precision="fp32")  # bf16 ends further away
    trainer.fit(model, data)
    X = np.c_[d2l.numpy(data.X), np.ones(352)][:320]
    best, *_ = np.linalg.lstsq(X, d2l.numpy(data.y)[:320].ravel())
    np.testing.assert_allclose(line(d2l, model, scratch), best, atol=3e-3)
    assert trainer.history[-1]["val_loss"] < 1e-3
    curves = model.board.data
    assert {type(p.y) for points in curves.values() for p in points} == {float}
    assert [p.x for p in curves["val_loss"]] == list(range(1, 9))


def test_an_interrupted_training_resumes(d2l, framework, interruptible, tmp_path):
    """As often in the same order as without the interruption, and with the same end."""

    def fitted(interrupt_at=None, **options):
        class Trainer(d2l.Trainer):
            def train_step(self, batch):
                if self.train_batch_idx == interrupt_at:
                    signal.raise_signal(signal.SIGINT)
                return super().train_step(batch)

        model, data = regression(d2l, framework)
        # In PyTorch and TensorFlow, d2l's loader shuffles as it likes.
        data.get_tensorloader = types.MethodType(d2l.DataModule.get_tensorloader, data)
        data.take = types.MethodType(d2l.DataModule.take, data)
        Trainer(max_epochs=2, deterministic=True, **options).fit(model, data)
        return line(d2l, model)

    path = tmp_path / "one.npz"
    with pytest.raises(KeyboardInterrupt, match="saved in"):
        fitted(interrupt_at=13, checkpoint=path)  # in the second epoch
    np.testing.assert_array_equal(fitted(checkpoint=path), fitted())


def softmax_steps(W, b, batches, lr):
    """The parameters of softmax regression after a step on each of the batches."""
    for X, y in batches:
        logits = X.reshape(len(X), -1) @ W + b
        P = np.exp(logits - logits.max(axis=1, keepdims=True))
        G = P / P.sum(axis=1, keepdims=True)
        G[np.arange(len(y)), y] -= 1
        W = W - lr * X.reshape(len(X), -1).T @ G / len(y)
        b = b - lr * G.mean(axis=0)
    return W, b


def test_softmax_regression_by_arithmetic(d2l, framework):
    def parameters():
        W, b = sorted(framework.weights(model), key=np.ndim, reverse=True)
        return (W if W.shape == (12, 10) else W.T), b

    model = d2l.SoftmaxRegression(10, lr=0.0)  # at first it stays as it was drawn
    data = Data(d2l, (12,))
    trainer = d2l.Trainer(max_epochs=1, precision="fp32")
    trainer.fit(model, data)
    start = parameters()
    model.lr = 0.5
    trainer.fit(model, data)
    batches = [tuple(map(d2l.numpy, batch)) for batch in data.train_dataloader()]
    expected = softmax_steps(*start, batches, lr=0.5)
    for found, right in zip(parameters(), expected, strict=True):
        np.testing.assert_allclose(found, right, atol=1e-5)
    assert set(trainer.history[0]) >= {"train_loss", "val_loss", "val_acc"}


@in_backends("torch", "mxnet", "jax", "tensorflow", slow=["jax"])  # it compiles long
@pytest.mark.parametrize("kind", ["RNNScratch", "RNN", "GRU"])
def test_a_language_model_learns_an_alphabet(backend, d2l, framework, kind):
    """Each letter follows from the one before it: the perplexity falls to 1.

    `predict` then goes on with the alphabet, by the repaired code of d2l.
    """
    if (backend, kind) == ("jax", "RNN"):
        pytest.skip("d2l has none in JAX")
    vocab, steps = d2l.Vocab(list("abcde")), 4
    size = len(vocab)  # with one for unknown letters

    class Text(d2l.DataModule):
        batch_size = 32

        def get_dataloader(self, train):
            letters = np.arange(320)[:, None] + np.arange(steps + 1)
            letters = tensor(d2l, (1 + letters % 5).astype(np.int32))
            X, Y = letters[:, :-1], letters[:, 1:]
            return self.get_tensorloader(
                [X, Y], train, slice(None, 320 if train else 32)
            )

    framework.seed(0)
    if kind == "RNNScratch":
        rnn = d2l.RNNScratch(size, 16, sigma=0.3)
        model = d2l.RNNLMScratch(rnn, vocab_size=size, lr=1.0)
    else:
        sizes = [size, 16] if backend == "torch" else [16]
        rnn = getattr(d2l, kind)(*sizes, *([1] if kind == "GRU" else []))
        model = d2l.RNNLM(rnn, vocab_size=size, lr=2.0)
    trainer = d2l.Trainer(max_epochs=4, gradient_clip_val=1, precision="fp32")
    trainer.fit(model, Text())
    first, last = trainer.history[0], trainer.history[-1]
    assert 1 < first["train_ppl"] < 2 * size
    assert 1 <= last["val_ppl"] < 1.3
    assert type(model.board.data["val_ppl"][-1].y) is float
    params = [model.variables["params"]] if backend == "jax" else []
    assert model.predict("cd", 6, vocab, *params) == "cdeabcde"


def test_ours_takes_its_place_as_a_base(d2l):
    """What knows our classes knows d2l's models: `predict`, `num_params`, checkpoints."""
    assert issubclass(d2l.SoftmaxRegression, d2l.Classifier)
    assert issubclass(d2l.LinearRegression, d2l.Module)
    assert not issubclass(d2l.LinearRegression, d2l.Classifier)


def test_a_model_of_another_kind_is_refused(d2l):
    class Net:
        pass

    with pytest.raises(TypeError, match="must extend d2lext.*Classifier, got .*Net: "):
        d2l.Trainer(max_epochs=1).fit(Net(), Data(d2l))


@in_backends("torch")
def test_a_model_of_d2l_imported_before_ours(d2l):
    """Its classes are d2l's own, and their `plot` would draw tensors."""
    from torch import nn, optim

    class Theirs(nn.Module):
        plot_train_per_epoch = 2

        def __init__(self):
            super().__init__()
            self.net = nn.Linear(12, 10)

        def training_step(self, batch):
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.plot("loss", loss, train=True)
            return loss

        def validation_step(self, batch):
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.plot("loss", loss, train=False)

        def configure_optimizers(self):
            return optim.SGD(self.parameters(), lr=0.1)

    model, trainer = Theirs(), d2l.Trainer(max_epochs=2)
    trainer.fit(model, Data(d2l, (12,)))
    points = model.board.data["val_loss"]
    assert [type(point.y) for point in points] == [float] * 2
    assert points[-1] == (2, trainer.history[1]["val_loss"])


@in_backends("jax")
def test_a_network_that_d2l_left_out_is_named(d2l):
    model = d2l.RNNLM(d2l.RNN(4), vocab_size=5)
    with pytest.raises(NotImplementedError, match="d2l.RNN .* take d2l.RNNScratch or"):
        model.apply_init((d2l.zeros((1, 3), d2l.int32),), d2l.get_key())
