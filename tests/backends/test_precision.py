"""How steps compute: in which precision, compiled or not, and with which result."""

import contextlib
import warnings

import numpy as np
import pytest
from shared.frameworks import array
from shared.random_images import Data

from d2lext.core.machine import processor

pytestmark = pytest.mark.usefixtures("whole_runs")


@pytest.fixture
def fit(d2l):
    """A function that trains a small network; returns its trainer and its data."""

    def fit(max_epochs=2, **options):
        # Few shapes: JAX, not compiled, compiles each operation for each of them.
        small = {"arch": (1,), "growth_rate": 4, "num_channels": 8, "num_classes": 10}
        model = d2l.DenseNetBC(lr=0.05, small_images=True, **small)
        trainer, data = d2l.Trainer(max_epochs, **options), Data(d2l, (1, 8, 8), 4)
        trainer.fit(model, data)
        return trainer, data

    return fit


@pytest.mark.parametrize(("has_bf16", "precision"), [(True, "bf16"), (False, "fp32")])
def test_a_cpu_multiplies_what_it_has_instructions_for(
    monkeypatch, d2l, has_bf16, precision
):
    monkeypatch.setattr(processor, "has_bfloat16", lambda: has_bf16)
    assert d2l.Trainer(max_epochs=1).used_precision == precision


def losses(trainer):
    keys = ("train_loss", "val_loss", "val_acc")
    return np.array([[entry[key] for key in keys] for entry in trainer.history])


@contextlib.contextmanager
def compiling(backend):
    """Warnings are no errors where PyTorch's compiler uses what PyTorch warns of."""
    with warnings.catch_warnings():
        if backend == "torch":
            warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.mark.slow
def test_not_compiled_is_the_same_to_rounding(backend, fit, capsys):
    with compiling(backend):
        compiled, _ = fit(precision="fp32", compile=True)
    assert "; fp32, compiled; " in capsys.readouterr().out
    eager, _ = fit(precision="fp32", compile=False)
    assert "; fp32, not compiled; " in capsys.readouterr().out
    assert np.allclose(losses(compiled), losses(eager), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_evaluation_is_in_float32(d2l, backend, fit, precision):
    """Its loss is that of the same weights in float32, to rounding."""
    if (backend, precision) == ("mxnet", "bf16") and not processor.has_bfloat16():
        pytest.skip("MXNet trains in bf16 where the processor multiplies it")
    trainer, data = fit(precision=precision, max_epochs=1)
    X, labels = array(d2l, data.X)[20:], d2l.numpy(data.y)[20:]
    logits = d2l.predict(trainer.model, np.ascontiguousarray(X)).astype(np.float64)
    log_sums = np.log(np.exp(logits).sum(axis=1))
    expected = (log_sums - logits[np.arange(12), labels]).mean()
    assert trainer.history[0]["val_loss"] == pytest.approx(expected, rel=2e-6)
