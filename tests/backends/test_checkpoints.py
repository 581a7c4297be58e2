"""Training that is interrupted, killed and resumed in each framework."""

import functools
import signal

import numpy as np
import pytest
from shared.checkpoints import (
    CrashError,
    assert_same_training,
    at,
    crash,
    ctrl_c,
    fitted,
    measured,
    same_state,
)
from shared.frameworks import native, tensor
from shared.processes import python
from shared.random_images import Data
from shared.selected import in_backends

from d2lext.core.machine import processor
from d2lext.core.training.contents import counts
from d2lext.core.training.fingerprint import Fingerprints

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("whole_runs", "interruptible"),
]


@pytest.fixture(scope="module")
def whole(backend, whole_runs):
    """Trainers that ran without an interruption, by precision: one run each."""
    return functools.cache(lambda precision: fitted(backend, precision=precision))


def test_ctrl_c(backend, whole, tmp_path):
    path = tmp_path / "one.npz"
    with pytest.raises(KeyboardInterrupt, match="saved in"):
        fitted(backend, checkpoint=path, before_step=at(4, ctrl_c))
    trainer = fitted(backend, checkpoint=path)
    assert_same_training(trainer, whole("fp32"))


def test_what_is_compared_differs(backend, whole):
    """Dropout, momentum and batch statistics change what follows."""
    state = whole("fp32").get_state()
    assert not same_state(whole("fp32"), fitted(backend, seed=1, max_epochs=1))
    assert any(np.any(a) for name, a in state.items() if not name.startswith("model/"))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_interrupted_again_and_again(backend, whole, tmp_path, precision):
    if (backend, precision) == ("mxnet", "bf16") and not processor.has_bfloat16():
        pytest.skip("MXNet trains in bf16 where the processor multiplies it")
    path = tmp_path / "one.npz"
    run = functools.partial(fitted, backend, checkpoint=path, precision=precision)
    with pytest.raises(CrashError):
        run(before_step=at(1, crash))
    with pytest.raises(KeyboardInterrupt):
        run(before_step=at(1, ctrl_c))
    with pytest.raises(KeyboardInterrupt):
        run(before_val=at(2, ctrl_c))  # the first batch of the second epoch
    with pytest.raises(CrashError):
        run(before_step=at(7, crash))
    assert_same_training(run(), whole(precision))


def test_a_recipe(backend, d2l, tmp_path):
    """Interrupted within an epoch, then while the model has its average."""

    def network(**options):
        model = d2l.DenseNetBC(**options)
        model.nesterov, model.label_smoothing = True, 0.1
        return model

    recipe = {
        "schedule": d2l.StepSchedule(warmup=0.2),
        "ema": 0.7,
        "augment": (d2l.RandomShift(1), d2l.RandomErasing(), d2l.MixUp(0.5)),
    }
    options = recipe | {"checkpoint": tmp_path / "one.npz"}
    with pytest.raises(KeyboardInterrupt):
        fitted(backend, network, before_step=at(4, ctrl_c), **options)
    with pytest.raises(KeyboardInterrupt):
        fitted(backend, network, before_val=at(3, ctrl_c), **options)
    trainer = fitted(backend, network, **options)
    assert_same_training(trainer, fitted(backend, network, **recipe))
    for name, value, got in (
        ("max_epochs", 4, "3 where it is 4"),
        ("ema", None, "0.7 "),
    ):
        with pytest.raises(ValueError, match=f"{name} = {got}"):
            fitted(backend, network, **options | {name: value})


@in_backends("torch", "mxnet", "tensorflow")  # in JAX it is one tree with all else
def test_what_adam_keeps(backend, d2l, framework, tmp_path):
    """Two arrays for each parameter, and how many steps there were."""
    path = tmp_path / "one.npz"

    class Network(d2l.DenseNetBC):
        def configure_optimizers(self):
            return framework.adam(self, lr=1e-3)

    with pytest.raises(KeyboardInterrupt):
        fitted(backend, Network, checkpoint=path, before_step=at(4, ctrl_c))
    trainer = fitted(backend, Network, checkpoint=path)
    assert_same_training(trainer, fitted(backend, Network))


@in_backends("torch", "mxnet", "tensorflow")  # in JAX a model keeps no arrays
def test_what_the_framework_does_not_count(backend, d2l, framework, tmp_path):
    """Parameters and statistics in plain arrays train, and go on where they were."""

    class Points(d2l.DataModule):
        def get_dataloader(self, train):
            rng = np.random.default_rng(0)
            X = rng.normal(1, 1, size=(16, 3)).astype(np.float32)
            y = X @ np.array([1, -2, 3], np.float32)
            return [(d2l.tensor(X), d2l.tensor(y))]

    def fit(max_epochs, **options):
        model = framework.Scratch()
        trainer = d2l.Trainer(max_epochs, precision="fp32", **options)
        trainer.fit(model, Points())
        arrays = [model.w, *model.biases, model.mean]
        return measured(trainer.history), [np.array(d2l.numpy(a)) for a in arrays]

    path = tmp_path / "one.npz"
    fit(3, checkpoint=path)
    (history, arrays), (expected, others) = fit(6, checkpoint=path), fit(6)
    assert history == expected
    assert all(np.array_equal(a, b) for a, b in zip(arrays, others, strict=True))
    assert all(np.any(array) for array in arrays)


@in_backends("torch")  # elsewhere it is part of the optimiser
def test_schedule_of_the_learning_rate(backend, d2l, framework, tmp_path):
    from torch.optim.lr_scheduler import StepLR

    class Scheduled(framework.Linear):
        def configure_optimizers(self):
            optim = super().configure_optimizers()
            self.schedule = StepLR(optim, step_size=4, gamma=0.5)
            return optim

        def validation_step(self, batch):
            super().validation_step(batch)
            self.schedule.step()  # twice an epoch

    def fit(max_epochs):
        trainer = d2l.Trainer(max_epochs, checkpoint=tmp_path / "one.npz")
        trainer.fit(Scheduled(), Data(d2l))
        return trainer.optim.param_groups[0]["lr"], trainer.model.schedule.last_epoch

    assert fit(3) == (pytest.approx(0.1 * 0.5), 6)
    assert fit(5) == (pytest.approx(0.1 * 0.5**2), 10)


CHILD = """
import os, signal, sys
from shared.checkpoints import at, fitted

backend, path, moment = sys.argv[1:]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def die_at_the_second_save(handle, fsync=os.fsync, saved=[]):
    saved.append(handle)
    die() if len(saved) == 2 else fsync(handle)

if moment == "saving":
    os.fsync = die_at_the_second_save
    fitted(backend, checkpoint=path)
else:
    fitted(backend, checkpoint=path, before_step=at(int(moment), die))
"""


def test_killed_processes(capsys, backend, whole, tmp_path):
    """Each process resumes what the one before it has left, and so does this one."""
    path = tmp_path / "one.npz"
    # In the second epoch, then where the third epoch would be saved.
    for moment in ("4", "saving"):
        process = python(CHILD, backend, path, moment)
        assert process.returncode == -signal.SIGKILL, process.stderr
    trainer = fitted(backend, checkpoint=path)
    assert "Resumed from a checkpoint, after epoch 2." in capsys.readouterr().out
    assert_same_training(trainer, whole("fp32"))


# What a checkpoint knows. Linear models: compiling them takes little time.


def test_data_that_differ_in_one_number(backend, d2l, framework, tmp_path):
    """They are tensors of the framework, whose repr abridges."""

    def fit(X, y):
        data = Data(d2l, shape=(1, 25, 25))
        data.X, data.y = (tensor(d2l, array) for array in (X, y))
        path = tmp_path / "one.npz"
        d2l.Trainer(1, precision="fp32", checkpoint=path).fit(framework.Linear(), data)

    X, y = np.zeros((32, 1, 25, 25), np.float32), np.arange(32) % 10
    changed_X, changed_y = X.copy(), y.copy()
    changed_X[16, 0, 10, 10] = changed_y[16] = 1
    fit(X, y)
    fit(X, y)
    for name, data in {"X": (changed_X, y), "y": (X, changed_y)}.items():
        held = ", ".join(sorted([name, "train_dataloader"]))
        with pytest.raises(ValueError, match=rf"other data than now \({held}\)"):
            fit(*data)


@in_backends("torch", "mxnet", "tensorflow")  # JAX has none
def test_the_frameworks_own_loaders(backend, d2l, framework):
    def fingerprint(loader):
        return Fingerprints(d2l.Trainer.layers, counts=counts)(loader)

    X, y = np.zeros((40, 500), np.float32), np.arange(40)
    changed = X.copy()
    changed[20, 250] = 1
    loader = framework.loader(X, y)
    fresh = fingerprint(loader)
    next(iter(loader))
    assert fingerprint(loader) == fingerprint(framework.loader(X, y)) == fresh
    assert fingerprint(framework.loader(changed, y)) != fresh
    assert fingerprint(framework.loader(X, y[::-1].copy())) != fresh


def test_a_model_of_another_seed(backend, d2l, framework, tmp_path):
    run = functools.partial(fitted, backend, checkpoint=tmp_path / "one.npz")

    def network(seed):
        def make(**_):
            framework.seed(seed)
            model = framework.Linear()
            model.layer_summary(native(d2l, (1, 1, 8, 8)))
            return model

        return make

    whole = run(network(5))
    with pytest.raises(ValueError, match="got other initial weights than now"):
        run(network(6))
    assert_same_training(run(network(5)), whole)
    assert_same_training(run(network(6), resume=True), whole)


def test_the_same_model_again(backend, framework, tmp_path):
    """In a notebook, after Ctrl-C and after an error, the cell is run once more."""
    model = framework.Linear(dropout=0.2)
    path = tmp_path / "one.npz"
    run = functools.partial(fitted, backend, lambda **_: model, checkpoint=path)
    with pytest.raises(KeyboardInterrupt):
        run(before_step=at(4, ctrl_c))
    with pytest.raises(CrashError):
        run(before_step=at(5, crash))
    whole = fitted(backend, lambda **_: framework.Linear(dropout=0.2))
    assert_same_training(run(), whole)
