"""The framework-free core: hyperparameters, checks, averages, plots, modes."""

import subprocess
import sys

import numpy as np
import pytest

from d2lext.core import checks, plotting
from d2lext.core.hyperparameters import HyperParameters, add_to_class
from d2lext.core.names import exports
from d2lext.core.training import provenance, report
from d2lext.core.training.averages import Averages
from d2lext.core.training.epochs import FAST_TRAIN_BATCHES
from d2lext.core.training.trainer import Trainer


def test_save_hyperparameters():
    class Model(HyperParameters):
        def __init__(self, a, b=2, c=3):
            _hidden = 4
            self.save_hyperparameters(ignore=["c"])

    model = Model(1)
    assert model.hparams == {"a": 1, "b": 2}
    assert (model.a, model.b) == (1, 2)
    assert not hasattr(model, "c")


def test_add_to_class():
    class Model:
        pass

    model = Model()

    @add_to_class(Model)
    def double(self, x):
        return 2 * x

    assert model.double(3) == 6
    assert double(None, 4) == 8


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("growth_rate", 0, "must be an integer >= 1, got 0"),
        ("growth_rate", 2.5, "must be an integer >= 1, got 2.5"),
        ("growth_rate", True, "must be an integer >= 1, got True"),
        ("arch", (), r"must hold at least one integer, each >= 1, got \(\)"),
        ("arch", (4, 0), r"must hold .*, each >= 1, got \(4, 0\)"),
    ],
)
def test_check_positive(name, value, rule):
    with pytest.raises(ValueError, match=f"^{name} {rule}"):
        checks.check_positive(**{name: value})
    checks.check_positive(growth_rate=np.int64(32), arch=[4, 4])


def test_check_image_size():
    checks.check_image_size((29, 40), 29, "DenseNet")
    with pytest.raises(ValueError, match="DenseNet needs .* 29x29 pixels, got 28x40"):
        checks.check_image_size((28, 40), 29, "DenseNet")


def test_averages_weigh_by_example():
    # 10,000 = 78 * 128 + 16 examples: the mean of the batches' means would be wrong.
    rng = np.random.default_rng(0)
    values = rng.random(10_000)
    averages = Averages()
    for start in range(0, 10_000, 128):
        batch = values[start : start + 128]
        averages.add({"acc": batch.mean()}, len(batch))
    assert averages.means()["acc"] == pytest.approx(values.mean(), abs=1e-12)


def test_board_averages_points():
    board = plotting.ProgressBoard(display=False)
    for x in range(6):
        board.draw(x, 10 * x, "loss", every_n=3)
    board.draw(1, 2, "acc")
    assert board.data == {"loss": [(1, 10), (4, 40)], "acc": [(1, 2)]}
    board.draw(2, 3, "now", every_n=0)
    assert board.data["now"] == [(2, 3)]


def test_plots_are_repeatable_svg():
    board = plotting.ProgressBoard(xlabel="epoch", display=False)
    for x in range(3):
        board.draw(x, x, "train_loss")
    first, second = (plotting.svg(board.figure()) for _ in range(2))
    assert first == second
    assert "<svg" in first
    assert "<dc:date>" not in first


class Stub(Trainer):
    def find_gpus(self, num_gpus):
        return []

    def fastest(self):
        return "fp32", False


@pytest.mark.parametrize(
    ("fast", "limit", "epochs"),
    [("", "", 10), ("", "3", 3), ("1", "", 1), ("", "20", 10)],
)
def test_short_modes_limit_epochs_and_say_so(monkeypatch, capsys, fast, limit, epochs):
    monkeypatch.setenv("D2LEXT_FAST", fast)
    monkeypatch.setenv("D2LEXT_EPOCHS", limit)
    trainer = Stub(max_epochs=10)
    assert trainer.num_epochs == epochs
    report.shortened(trainer.max_epochs, trainer.num_epochs, FAST_TRAIN_BATCHES)
    said = capsys.readouterr().out
    assert ("mean nothing" in said) == bool(fast)
    assert (f"training {epochs} of 10 epochs" in said) == (limit == "3")


def test_a_bad_limit(monkeypatch):
    monkeypatch.setenv("D2LEXT_EPOCHS", "many")
    with pytest.raises(ValueError, match="D2LEXT_EPOCHS must be an integer"):
        provenance.epoch_limit()


def test_max_epochs_must_be_positive():
    with pytest.raises(ValueError, match="max_epochs must be an integer >= 1, got 0"):
        Stub(max_epochs=0)


def test_an_unknown_name_of_the_library():
    with pytest.raises(
        AttributeError, match="'d2lext.torch' has no attribute 'DensNet'"
    ):
        exports.lookup("d2lext.torch", "DensNet")


def test_the_core_imports_no_framework():
    code = (
        "import sys, pkgutil, importlib, d2lext.core as core\n"
        "for module in pkgutil.walk_packages(core.__path__, 'd2lext.core.'):\n"
        "    importlib.import_module(module.name)\n"
        "heavy = {'torch', 'jax', 'tensorflow', 'keras', 'mxnet', 'matplotlib'}\n"
        "print(heavy & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert result.stdout.strip() == "set()", result.stderr
