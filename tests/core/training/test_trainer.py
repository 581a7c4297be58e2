"""What a training says while it runs, when it must stop, and how it computes."""

import contextlib
import functools
import os
import pty
import re
import sys
import termios
import threading

import numpy as np
import pytest
import tqdm
from shared.numpy_trainer import NUM_STEPS, Data, Model, Trainer, fit
from shared.selected import SELECTED, d2l_or_skip

from d2lext.core.machine import processor
from d2lext.core.training import checkpoint, progress
from d2lext.core.training.averages import Averages


@pytest.fixture(autouse=True)
def whole_runs(monkeypatch):
    """Training as long as a test says."""
    for name in ("D2LEXT_FAST", "D2LEXT_EPOCHS", "D2LEXT_CHECKPOINTS"):
        monkeypatch.delenv(name, raising=False)


# Options.


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"precision": "fp16"}, "'auto', 'bf16' or 'fp32', got 'fp16'"),
        ({"precision": None}, "'auto', 'bf16' or 'fp32', got None"),
        ({"max_epochs": 0}, "max_epochs must be an integer >= 1, got 0"),
        ({"max_epochs": 1.5}, "max_epochs must be an integer >= 1, got 1.5"),
    ],
)
def test_bad_options(options, rule):
    with pytest.raises(ValueError, match=rule):
        Trainer(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "an abacus; fp32 (auto), not compiled; seed 0"),
        ({"precision": "bf16", "seed": 3}, "an abacus; bf16, not compiled; seed 3"),
        ({"precision": "fp32", "compile": True}, "an abacus; fp32, compiled; seed 0"),
    ],
)
def test_it_says_how_it_computed(capsys, options, said):
    fit(**options)
    assert said in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("num_gpus", [0, 1])
def test_a_gpu_that_is_not_there(capsys, num_gpus):
    fit(num_gpus=num_gpus)
    assert ("No GPU found" in capsys.readouterr().out) == bool(num_gpus)


# Averages.


def test_averages_of_some_batches():
    averages = Averages()
    for value, number in [(1, 8), (2, 8), (5, 4)]:
        averages.add({"loss": value}, number)
    assert averages.means() == {"loss": (8 + 16 + 20) / 20}
    assert averages.means(1) == {"loss": (16 + 20) / 12}
    assert averages.means(0, 2) == {"loss": 1.5}
    assert (len(averages), averages.num_examples) == (3, 20)


def test_averages_of_values_that_not_every_batch_has():
    averages = Averages()
    averages.add({"loss": 1.0}, 3)
    averages.add({"loss": 2.0, "acc": 0.5}, 1)
    assert averages.means() == {"loss": 1.25, "acc": 0.5}
    assert Averages().means() == {}


def test_averages_read_each_value_once():
    class OnADevice(float):
        reads = 0

        def __float__(self):
            OnADevice.reads += 1
            return 7.0

    averages = Averages()
    averages.add({"loss": OnADevice()}, 2)
    assert OnADevice.reads == 0, "reading waits for the device"
    assert averages.means() == averages.means() == {"loss": 7.0}
    assert OnADevice.reads == 1
    again = Averages(averages.floats())
    assert again.means() == {"loss": 7.0}


# A loss that is no number.


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_must_be_finite(value):
    model = Model(lr=0.25)

    class Spoilt(Trainer):
        def train_step(self, batch):
            logged = super().train_step(batch)
            return {"train_loss": value} if self.train_batch_idx == 6 else logged

    trainer = Spoilt(3)
    with pytest.raises(FloatingPointError) as caught:
        trainer.fit(model, Data())
    said = str(caught.value)
    assert f"the training loss must stay finite, got {value}" in said
    assert "in epoch 2 with lr=0.25: " in said
    assert "lower the learning rate or set gradient_clip_val" in said
    assert "fp32" not in said, "which it is already"
    assert trainer.train_batch_idx <= 8, "not an epoch later"
    assert len(trainer.history) == 1


def test_a_loss_in_bfloat16_may_be_saved_by_float32():
    model = Model()
    model.w[:] = np.inf
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(FloatingPointError, match="try precision='fp32'"),
    ):
        fit(model=model, precision="bf16")


def test_a_metric_in_validation_need_not_be_a_number():
    class Undefined(Trainer):
        def eval_step(self, batch):
            return super().eval_step(batch) | {"val_recall": float("nan")}

    trainer = Undefined(1)
    trainer.fit(Model(), Data())
    assert np.isnan(trainer.history[0]["val_recall"])


# Memory.


def exhausted(text):
    class SomeError(RuntimeError):
        pass

    return SomeError(text)


@pytest.mark.parametrize("option", [None, False, True])
@pytest.mark.parametrize(
    "text", ["RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.", "out of memory"]
)
def test_out_of_memory(text, option):
    model = Model()
    if option is not None:
        model.memory_efficient = option

    def fail(i):
        raise exhausted(text)

    with pytest.raises(MemoryError) as caught:
        fit(model=model, before_step=fail)
    assert "memory of an abacus, got a batch_size of 8" in str(caught.value)
    assert "lower batch_size" in str(caught.value)
    # Only where it helps: the model has it, and does not use it.
    assert ("memory_efficient=True" in str(caught.value)) == (option is False)
    assert text in str(caught.value.__cause__)


def test_other_errors_stay_what_they_are():
    def fail(i):
        raise ValueError("out of range")

    with pytest.raises(ValueError, match="^out of range$"):
        fit(before_step=fail)


# The bar.


@pytest.fixture
def enabled(monkeypatch):
    """The bar as it is where TQDM_DISABLE is not set; tests may run where it is."""
    options = {"disable": False, "mininterval": 0}
    monkeypatch.setattr(progress, "tqdm", functools.partial(tqdm.tqdm, **options))


@contextlib.contextmanager
def terminal():
    """Within the block standard error is a terminal; yields a list for what it got."""
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 80))
    content, shown, before = b"", [], sys.stderr

    def read():
        nonlocal content
        with contextlib.suppress(OSError):  # what Linux says at the end
            while part := os.read(reader, 10_000):
                content += part

    thread = threading.Thread(target=read)
    thread.start()
    sys.stderr = os.fdopen(writer, "w", encoding="utf-8")
    try:
        yield shown
    finally:
        sys.stderr.close()
        sys.stderr = before
        thread.join(10)
        os.close(reader)
        shown.append(content.decode())


def test_bar_in_a_terminal(enabled):
    with terminal() as shown:
        fit()
    states = [state for state in re.split(r"[\r\n]", shown[0]) if state.strip()]
    pattern = r"epoch (\d)/3: +(\d+)%\|.*\| (\d+)/18 \[00:00<(00:00|\?), .*batch"
    found = [re.match(pattern, state) for state in states if "epoch" in state]
    assert len(found) == 18
    assert all(found), states
    assert [m[1] for m in found] == ["1"] * 6 + ["2"] * 6 + ["3"] * 6
    assert [int(m[3]) for m in found] == list(range(1, 19))
    assert found[-1][2] == "100"
    rates = [re.search(r"([\d.]+)(k?batch/s|s/batch)", s) for s in states[3:]]
    assert all(float(rate[1]) > 0 for rate in rates)
    assert all(len(state) <= 79 for state in states)
    assert re.search(r"\r +\r$", shown[0]), "nothing stays"


def test_bar_goes_on_where_the_training_does(enabled, monkeypatch, tmp_path):
    fit(checkpoint=tmp_path / "one.npz", max_epochs=2)
    bars, make = [], progress.tqdm
    monkeypatch.setattr(
        progress, "tqdm", lambda **options: bars.append(make(**options)) or bars[-1]
    )
    with terminal() as shown:
        fit(checkpoint=tmp_path / "one.npz")
    assert " 13/18 [" in shown[0]
    # Batches of an earlier process would make this one look fast.
    assert (bars[0].initial, bars[0].n) == (12, 18)


def test_bar_after_an_exception_leaves_the_terminal_clean(enabled):
    def fail(i):
        if i == 3:
            raise ValueError("three")

    with terminal() as shown, pytest.raises(ValueError, match="three"):
        fit(before_step=fail)
    assert re.search(r"\r +\r$", shown[0])


def test_bar_with_a_loader_of_unknown_length(enabled):
    class Generated(Data):
        def get_dataloader(self, train):
            return iter(super().get_dataloader(train))

    with terminal() as shown:
        fit(data=Generated())
    assert re.search(r"epoch 3/3:[ :]+18batch \[00:00, .*batch/s\]", shown[0])


def test_no_bar_without_a_watcher(enabled, capfd, monkeypatch):
    fit()
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", None)  # as in pythonw
    fit()


# In the frameworks.


@pytest.fixture(scope="module", params=SELECTED)
def d2l(request):
    """The package of a framework."""
    return d2l_or_skip(request.param)


@functools.cache
def images(d2l):
    """A data set of 20 random images of 8x8 pixels, 12 more for validation."""
    rng = np.random.default_rng(0)
    X = rng.integers(256, size=(32, 1, 8, 8), dtype=np.uint8)
    y = rng.integers(10, size=32)

    class Images(d2l.DataModule):
        batch_size = 8

        def get_dataloader(self, train):
            part = slice(0, 20) if train else slice(20, None)
            batch = d2l.FashionMNIST.to_tensors(self, X[part], y[part])
            return self.get_tensorloader(batch, train)

    return Images


def network(d2l, lr=0.05, **options):
    options = {"arch": (1, 1), "growth_rate": 4, "num_channels": 8} | options
    return d2l.DenseNetBC(lr=lr, num_classes=10, small_images=True, **options)


def run(d2l, model=None, max_epochs=2, **options):
    trainer = d2l.Trainer(max_epochs, **({"precision": "fp32"} | options))
    trainer.fit(model or network(d2l), images(d2l)())
    return trainer


def test_a_learning_rate_that_is_too_high(d2l, tmp_path):
    path = tmp_path / "one.npz"
    with pytest.raises(FloatingPointError) as caught:
        run(d2l, network(d2l, lr=1e38), checkpoint=path, max_epochs=9)
    said = str(caught.value)
    assert re.search(r"loss must stay finite, got -?(nan|inf) in epoch \d", said)
    assert "with lr=1e+38: lower the learning rate" in said
    _, arrays = checkpoint.load(path)
    assert all(
        np.isfinite(a).all() for name, a in arrays.items() if name.startswith("model/")
    ), "the checkpoint is of before"


def own_exception(name):
    """The exception that a framework raises where memory is exhausted."""
    if name == "torch":
        import torch

        return torch.cuda.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2 GiB"
        )
    if name == "tensorflow":
        import tensorflow as tf

        return tf.errors.ResourceExhaustedError(
            None, None, "OOM when allocating tensor"
        )
    if name == "jax":
        import jax

        return jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while ...")
    import mxnet

    return mxnet.MXNetError("cudaMalloc retry failed: out of memory")


@pytest.mark.parametrize("efficient", [False, True])
def test_out_of_memory_in_a_framework(d2l, efficient):
    def train_step(batch):
        raise own_exception(d2l.__name__.rpartition(".")[2])

    trainer = d2l.Trainer(1)
    trainer.train_step = train_step
    with pytest.raises(MemoryError, match="got a batch_size of 8 that") as caught:
        trainer.fit(network(d2l, memory_efficient=efficient), images(d2l)())
    assert ("memory_efficient=True" in str(caught.value)) != efficient


def test_a_model_that_cannot_save_memory(d2l):
    trainer = d2l.Trainer(1)
    trainer.train_step = lambda batch: (_ for _ in ()).throw(exhausted("out of memory"))
    with pytest.raises(MemoryError, match="lower batch_size$"):
        trainer.fit(d2l.LeNet(lr=0.1), lenet_images(d2l))


def lenet_images(d2l):
    class Images(d2l.DataModule):
        def get_dataloader(self, train):
            X, y = np.zeros((8, 1, 28, 28), np.uint8), np.arange(8)
            return [d2l.FashionMNIST.to_tensors(self, X, y)]

    return Images()


def losses(trainer):
    keys = ("train_loss", "val_loss", "val_acc")
    return np.array([[entry[key] for key in keys] for entry in trainer.history])


@pytest.mark.slow
def test_not_compiled_is_the_same_to_rounding(d2l, capsys):
    faster = d2l.__name__ != "d2lext.torch"  # slower there
    # One block: JAX compiles each operation of each shape by itself.
    compiled = run(d2l, network(d2l, arch=(1,)), compile=faster)
    eager = run(d2l, network(d2l, arch=(1,)), compile=False)
    assert np.allclose(losses(compiled), losses(eager), rtol=1e-4, atol=1e-6)
    assert "fp32, not compiled" in capsys.readouterr().out


@pytest.mark.slow
# PyTorch's compiler uses what PyTorch itself warns of.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_compiled_is_the_same_to_rounding(capsys):
    d2l = pytest.importorskip("d2lext.torch", reason="PyTorch is not installed")
    if "torch" not in SELECTED:
        pytest.skip("--backend chose others")
    compiled, eager = (run(d2l, compile=c) for c in (True, False))
    assert np.allclose(losses(compiled), losses(eager), rtol=1e-4, atol=1e-6)
    assert "fp32, compiled" in capsys.readouterr().out


def test_python_decides_in_steps_that_are_not_compiled():
    if "tensorflow" not in SELECTED:
        pytest.skip("--backend chose others")
    d2l = pytest.importorskip("d2lext.tensorflow", reason="TensorFlow is not installed")
    seen = []

    class Looks(d2l.DenseNetBC):
        def training_step(self, batch):
            loss = super().training_step(batch)
            if loss.numpy() > 0:
                seen.append(float(loss))
            return loss

    options = {"arch": (1,), "growth_rate": 4, "num_channels": 8, "num_classes": 10}
    run(d2l, Looks(**options, small_images=True), max_epochs=1, compile=False)
    assert len(seen) == 3
    with pytest.raises(AttributeError, match="numpy"):
        run(d2l, Looks(**options, small_images=True), max_epochs=1, compile=True)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_evaluation_is_in_float32(d2l, precision):
    """Its loss is that of the same weights in float32, to rounding."""
    asked = d2l.__name__, precision
    if asked == ("d2lext.mxnet", "bf16") and not processor.has_bfloat16():
        pytest.skip("MXNet trains in bf16 where the processor multiplies it")
    trainer = run(d2l, precision=precision, max_epochs=1)
    X, y = zip(*images(d2l)().val_dataloader(), strict=True)
    del X
    labels = np.concatenate([np.asarray(d2l.numpy(part)) for part in y])
    rng = np.random.default_rng(0)
    pixels = rng.integers(256, size=(32, 1, 8, 8), dtype=np.uint8)[20:]
    logits = d2l.predict(trainer.model, pixels.astype(np.float32) / 255)
    logits = logits.astype(np.float64)
    log_sums = np.log(np.exp(logits).sum(axis=1))
    expected = (log_sums - logits[np.arange(12), labels]).mean()
    assert trainer.history[0]["val_loss"] == pytest.approx(expected, rel=2e-6)


def test_steps_of_an_epoch():
    assert len(Data().train_dataloader()) == NUM_STEPS
