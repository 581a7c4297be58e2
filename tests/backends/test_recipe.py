"""What a good training has beyond plain descent, against PyTorch's own of each."""

import copy

import numpy as np
import pytest
from shared import frameworks
from shared.random_images import Data
from shared.selected import in_backends

from d2lext.core.module import Classifier

pytestmark = pytest.mark.usefixtures("whole_runs")

NETWORK = {
    "arch": (1,),
    "growth_rate": 4,
    "num_channels": 8,
    "in_channels": 1,
    "seed": 3,
}
RECIPE = {
    "lr": 0.1,
    "momentum": 0.9,
    "weight_decay": 0.05,
    "nesterov": True,
    "decay_all": False,
    "label_smoothing": 0.2,
}
EPOCHS = 3  # of three batches


class Recorded:
    """A schedule, and the shares for which it was asked."""

    def __init__(self, schedule):
        self.schedule, self.shares = schedule, []

    def __call__(self, t):
        self.shares.append(t)
        return self.schedule(t)


def model_of(d2l, **options):
    model = d2l.create_model("densenet_bc_100_12", **NETWORK, **options)
    model.board.display = False
    return model


def by_pytorch(schedule, ema):
    """(epochs, weights) of the recipe, as PyTorch's own tools have it."""
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    from d2lext import torch as d2l

    model, data = model_of(d2l), Data(d2l, shape=(1, 8, 8))
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    weights = [m.weight for m in model.modules() if isinstance(m, kinds)]
    others = [p for p in model.parameters() if all(p is not w for w in weights)]
    groups = [{"params": weights, "weight_decay": 0.05}, {"params": others}]
    optim = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    scheduler = schedule(torch.optim.lr_scheduler, optim)
    average = get_ema_multi_avg_fn(ema)
    average = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    smoothed = torch.nn.CrossEntropyLoss(label_smoothing=0.2)
    plain = torch.nn.CrossEntropyLoss()
    epochs = []
    for _ in range(EPOCHS):
        model.train()
        entry = {"train_loss": 0, "val_loss": 0}
        for X, y in data.get_dataloader(train=True):
            optim.zero_grad()
            l = smoothed(model(X), y)
            l.backward()
            optim.step()
            scheduler.step()
            average.update_parameters(model)
            entry["train_loss"] += l.item() * len(y) / 20
        average.eval()
        with torch.no_grad():
            for X, y in data.get_dataloader(train=False):
                entry["val_loss"] += plain(average(X), y).item() * len(y) / 12
        epochs.append(entry)
    return epochs, d2l.get_weights(average.module)


def test_a_recipe(d2l):
    """All at once; nothing of it is compiled in."""
    epochs, weights = by_pytorch(
        lambda schedulers, optim: schedulers.CosineAnnealingLR(optim, T_max=9), ema=0.7
    )
    schedule = Recorded(d2l.CosineSchedule())
    model = model_of(d2l, **RECIPE)
    trainer = d2l.Trainer(EPOCHS, precision="fp32", schedule=schedule, ema=0.7)
    trainer.fit(model, Data(d2l, shape=(1, 8, 8)))
    assert schedule.shares == [k / 9 for k in range(9)]
    for entry, expected in zip(trainer.history, epochs, strict=True):
        assert entry["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-4)
        # The statistics of a variance are those of a sample, or of a population.
        assert entry["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-3)
    for name, array in d2l.get_weights(model).items():
        rtol = 5e-3 if "running_var" in name else 1e-3
        np.testing.assert_allclose(array, weights[name], rtol, atol=1e-4, err_msg=name)
    if d2l.__name__.endswith("jax"):  # one for each size of a batch
        assert trainer._compiled_train_step._cache_size() == 2
    if d2l.__name__.endswith("tensorflow"):
        assert trainer._function.cache_info().currsize == 4


@pytest.mark.parametrize("rate", ["number", "schedule"])
def test_a_constant_schedule_is_a_learning_rate(d2l, backend, framework, rate):
    """For any optimizer; what a schedule of its own says is multiplied."""
    if (backend, rate) == ("torch", "schedule"):
        pytest.skip("PyTorch's schedules set the number")

    def fitted(lr, **options):
        def optimizer(self):
            if rate == "number" or backend == "mxnet":
                optim = framework.adam(self, lr)
            else:
                optim = framework.adam(self, framework.schedule(lr, lr, 2))
            if rate == "schedule" and backend == "mxnet":
                optim.optimizer.lr_scheduler = lambda step: lr
            return optim

        framework.seed(0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(framework.Linear, "configure_optimizers", optimizer)
            model = framework.Linear()
            model.board.display = False
            trainer = d2l.Trainer(2, precision="fp32", **options)
            trainer.fit(model, Data(d2l, shape=(1, 4, 4)))
        return trainer.history[-1]["train_loss"], *framework.weights(model)

    halved, half = fitted(0.1, schedule=lambda t: 0.5), fitted(0.05)
    for found, expected in zip(halved, half, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@in_backends("torch", "mxnet", "tensorflow")  # in JAX the step itself is scaled
def test_an_optimizer_without_a_rate(d2l, framework):
    class Strange:
        def step(self, *args):
            pass

        zero_grad = apply_gradients = step

    class Network(framework.Linear):
        def configure_optimizers(self):
            return Strange()

    trainer = d2l.Trainer(1, schedule=d2l.StepSchedule())
    with pytest.raises(ValueError, match="a schedule needs .* got Strange: give it"):
        trainer.fit(Network(), Data(d2l, shape=(1, 4, 4)))


def test_what_a_step_with_smoothed_labels_computes(d2l):
    model = model_of(d2l, label_smoothing=0.2)
    rng = np.random.default_rng(0)
    X, y = rng.random((4, 1, 8, 8), dtype=np.float32), np.array([0, 9, 4, 2])
    step = d2l.examine(model, X, y)
    rows = 0.8 * np.eye(10)[y] + 0.02
    shares = step.logits - np.log(np.exp(step.logits).sum(axis=1, keepdims=True))
    assert step.loss == pytest.approx(-(rows * shares).sum(axis=1).mean(), rel=1e-5)


def test_labels_as_rows(d2l, framework):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 5)).astype(np.float32)
    rows = rng.dirichlet(np.ones(5), size=6).astype(np.float32)
    shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -(rows * shares).sum(axis=1)
    args = frameworks.tensor(d2l, logits), frameworks.tensor(d2l, rows)
    each = d2l.numpy(framework.loss(*args, averaged=False))
    np.testing.assert_allclose(each, expected, rtol=1e-5)
    assert float(framework.loss(*args)) == pytest.approx(expected.mean(), rel=1e-5)
    right = logits.argmax(axis=1) == rows.argmax(axis=1)
    assert float(framework.accuracy(*args)) == pytest.approx(right.mean())


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        ({"nesterov": True}, "nesterov=True must have a momentum > 0"),
        ({"nesterov": 1, "momentum": 0.9}, "nesterov must be False or True, got 1"),
        ({"decay_all": None}, "decay_all must be False or True, got None"),
        ({"label_smoothing": 1.5}, "label_smoothing must be a number >= 0 and <= 1"),
        ({"label_smoothing": "a"}, "label_smoothing must be a number .*, got 'a'"),
    ],
)
def test_what_cannot_be(option, rule):
    """In the core, for all four."""
    model = Classifier()
    for name, value in option.items():
        setattr(model, name, value)
    with pytest.raises(ValueError, match=rule):
        model.smoothing() if "label_smoothing" in option else model.sgd_flags()


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # Keras 3's
def test_copies_have_what_was_set_later(d2l):
    """As attributes of a model whose class has no such arguments."""
    model = model_of(d2l, label_smoothing=0.1)
    model.nesterov = True
    twin = copy.deepcopy(model)
    assert (twin.nesterov, twin.label_smoothing) == (True, 0.1)
    if d2l.__name__.endswith("jax"):
        other = model.clone(lr=1)
        assert (other.nesterov, other.label_smoothing) == (True, 0.1)
